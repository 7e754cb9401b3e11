;; A plugin of the contract in next.wit: it drops what is delivered again, passes on the rest, and
;; logs once a batch.
(module
  (import "weir:plugin/log@0.2.0-test" "write" (func $log (param i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 128) "one batch")
  (global $top (mut i32) (i32.const 1024))
  (func $allocate (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $start i32)
    (local.set $start (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $start) (local.get 3)))
    (local.get $start))
  ;; All zeros is `ok`.
  (func (export "weir:plugin/configurable@0.2.0-test#configure") (param i32 i32) (result i32)
    (i32.const 16))
  ;; A message has 20 bytes, the last field at 16. An outcome has one: 0 is `pass`, 1 is `drop`.
  (func (export "weir:plugin/handler@0.2.0-test#process")
    (param $batch i32) (param $count i32) (result i32)
    (local $outcomes i32) (local $index i32)
    (call $log (i32.const 128) (i32.const 9))
    (local.set $outcomes
      (call $allocate (i32.const 0) (i32.const 0) (i32.const 1) (local.get $count)))
    (loop $next
      (if (i32.lt_u (local.get $index) (local.get $count))
        (then
          (i32.store8
            (i32.add (local.get $outcomes) (local.get $index))
            (i32.load8_u offset=16
              (i32.add (local.get $batch) (i32.mul (local.get $index) (i32.const 20)))))
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br $next))))
    (i32.store (i32.const 32) (local.get $outcomes))
    (i32.store (i32.const 36) (local.get $count))
    (i32.const 32)))
