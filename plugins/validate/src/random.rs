//! Keys for hash tables on `wasm32-unknown-unknown`, where nothing is random.
//!
//! Not for secrets: the bytes are the same in every instance. Somebody who knows them can write
//! payloads whose names collide, and pays with no more than the deadline of the call. On
//! `wasm32-wasip2` the host's randomness is used, and this file is not.

use getrandom::Error;

/// Called by `getrandom`, which is told so in `.cargo/config.toml`.
///
/// # Safety
/// `length` bytes may be written at `bytes`.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(bytes: *mut u8, length: usize) -> Result<(), Error> {
    // An odd multiple for each place: no two bytes in a row are equal.
    for place in 0..length {
        let byte = (place as u8).wrapping_mul(0x9d).wrapping_add(0x5b);
        // SAFETY: `place` is below `length`, so many bytes are the caller's to be written.
        unsafe { bytes.add(place).write(byte) };
    }
    Ok(())
}
