//! Wasmtime's C API, exported again so that cargo makes one static library of it, and what the C API lacks.
//! The functions below are declared in src/fn/fn_internal.h.
pub use wasmtime_c_api::*;

use wasmtime_c_api::wasmtime::{Config, Engine, WasmFeatures};

// Both are `#[repr(C)]` around that one member, which the crate keeps private.
const _: () = assert!(size_of::<wasm_config_t>() == size_of::<Config>());
const _: () = assert!(size_of::<wasm_engine_t>() == size_of::<Engine>());

/// Switches every proposal off that is not in WebAssembly 2.0, also those that the C API has no setter for and those
/// that a later version of Wasmtime may bring: whoever reads a module before Wasmtime does knows what can stand in it.
#[no_mangle]
pub extern "C" fn cairn_wasmtime_config_only_wasm2(config: &mut wasm_config_t) {
    let config = unsafe { &mut *(config as *mut wasm_config_t).cast::<Config>() };
    // Types of garbage-collected references (externref) are in 2.0; without the crate's feature `gc` they cannot be.
    let wanted = WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES);

    config.wasm_features(WasmFeatures::all().difference(wanted), false);
}

/// wasm_engine_new_with_config(), but a failure is an error and no panic.  Takes the config.
#[no_mangle]
pub extern "C" fn cairn_wasmtime_engine_new(
    config: Box<wasm_config_t>,
    out: &mut *mut wasm_engine_t,
) -> Option<Box<wasmtime_error_t>> {
    let config = unsafe { &*(&*config as *const wasm_config_t).cast::<Config>() };

    match Engine::new(config) {
        Ok(engine) => {
            *out = Box::into_raw(Box::new(engine)).cast::<wasm_engine_t>();
            None
        }
        Err(error) => Some(Box::new(wasmtime_error_t::from(error))),
    }
}
