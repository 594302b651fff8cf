//! Wasmtime's C API, exported again so that cargo makes one static library of it.
pub use wasmtime_c_api::*;
