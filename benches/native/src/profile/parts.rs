//! What a sampled function belongs to, by words of its name.

/// A part, and what names its functions. The first that matches counts.
pub(super) type Parts = &'static [(&'static str, &'static [&'static str])];

pub(super) const REST: &str = "everything else";

/// Of the host. A line is the function's name, then where its code is from.
pub(super) const HOST: Parts = &[
    (
        "the kernel: the socket, wake-ups, files",
        &["([kernel", "[vdso]", "syscall"],
    ),
    (
        "the plugin's own code",
        &["jit", "([unknown])", "(//anon)", ".cwasm", "memfd"],
    ),
    (
        "allocating and freeing",
        &[
            "mi_",
            "mimalloc",
            "alloc::alloc",
            "__rust_alloc",
            "__rust_dealloc",
        ],
    ),
    (
        "copying and comparing memory",
        &["memmove", "memcpy", "memset", "memcmp", "bcmp"],
    ),
    (
        "the border: wasmtime",
        &["wasmtime", "weir::plugin", "cranelift"],
    ),
    (
        "the NATS client, its channels and its runtime",
        &[
            "async_nats",
            "tokio",
            "bytes::",
            "mio::",
            "futures",
            "memchr",
            "std::sync::mpmc",
        ],
    ),
    (
        "weir's own steps",
        &["weir::", "prometheus", "blake3", "bytestring"],
    ),
    (
        "tables, text and numbers: hashing, formatting, reading the acks' JSON",
        &["hashbrown", "core::", "serde", "alloc::", "fnv", "itoa"],
    ),
    (
        "threads and locks of the standard library",
        &["std::", "pthread", "libc.so"],
    ),
];

/// Of the server.
pub(super) const SERVER: Parts = &[
    (
        "the kernel: sockets, files, wake-ups",
        &["([kernel", "[vdso]", "internal/runtime/syscall", "syscall."],
    ),
    (
        "Go's memory: allocating, collecting",
        &[
            "mallocgc",
            "runtime.gc",
            "runtime.scan",
            "runtime.mark",
            "runtime.sweep",
            "runtime.grey",
            "runtime.grow",
            "runtime.(*mspan)",
            "runtime.(*mcache)",
            "runtime.(*mcentral)",
            "runtime.(*mheap)",
            "runtime.(*gc",
            "runtime.heap",
            "runtime.newobject",
            "runtime.makeslice",
            "runtime.nextFree",
            "runtime.bulkBarrier",
            "runtime.wb",
            "runtime.find",
            "runtime.typePointers",
            "runtime.spanOf",
            "runtime.memclr",
            "runtime.(*lfstack)",
            "runtime.(*sweep",
            "runtime.deduct",
            "runtime.publicationBarrier",
        ],
    ),
    (
        "Go's maps, copies and comparisons",
        &[
            "runtime.map",
            "internal/runtime/maps",
            "runtime.mem",
            "memeqbody",
            "runtime.strhash",
            "aeshash",
            "runtime.slicebytetostring",
            "internal/bytealg",
            "cmpbody",
            "bytes.",
        ],
    ),
    (
        "Go's scheduler, timers, locks",
        &[
            "runtime.",
            "sync.",
            "internal/sync",
            "internal/runtime/atomic",
            "time.",
        ],
    ),
    (
        "storing and reading files of streams",
        &[
            "fileStore",
            "msgBlock",
            "memStore",
            "highwayhash",
            "hash/",
            "stree",
            "compress",
            "crypto/sha",
        ],
    ),
    (
        "consumers: deliveries and acks",
        &["(*consumer)", "consumer", "replyInfo", "parseAck"],
    ),
    (
        "streams: what is published, and its ack",
        &["(*stream)", "JetStream", "jetStream", "ipQueue", "jsPub"],
    ),
    (
        "the protocol: parsing, routing by subject, writing",
        &[
            "server.(*client)",
            "Sublist",
            "server.",
            "net.",
            "internal/poll",
            "bufio",
            "strconv",
            "nuid",
            "nats-server",
        ],
    ),
    ("JSON", &["encoding/json", "reflect."]),
];
