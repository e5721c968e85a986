//! ONNX Runtime, loaded once a process from a library on disk.
//!
//! Promise: a library that is missing, too old or something else is an error, never a panic and never the
//! end of the process. Nothing is sent anywhere: Microsoft's builds for Linux collect usage data from the
//! moment that they start (1.32: a database under `~/.cache/Microsoft`, a thread that uploads it), and only
//! an environment variable keeps them from it; without it the library is not loaded. Must not import other
//! stages.

use std::any::Any;
use std::error::Error;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use super::EmbedError;

/// The environment variable that has to be `1` before ONNX Runtime is loaded: its own switch against the
/// collection of usage data. The API call for it ([`ort`'s `with_telemetry`]) comes too late, when the
/// runtime has opened its database and started its thread.
///
/// [`ort`'s `with_telemetry`]: ort::environment::EnvironmentBuilder::with_telemetry
pub const TELEMETRY_SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// The library in use. It stays loaded until the process ends: the threads of its sessions live in it.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

struct Loaded {
    path: PathBuf,
    environment: Environment,
    version: Option<String>,
}

/// The environment of the runtime in `path`, which is loaded if this process has none yet. A process has one.
///
/// The loader checks the library's own version before its first use, so a runtime that is too old does not
/// get as far as the calls that `ort` would answer with a panic; should one come all the same, it is caught.
pub fn environment(path: &Path) -> Result<Environment, EmbedError> {
    let failed = |cause: String| EmbedError::Runtime {
        path: path.display().to_string(),
        cause,
    };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let real = std::fs::canonicalize(path).map_err(|cause| unreadable(path, &cause))?;
    if let Some(loaded) = loaded.as_ref() {
        if loaded.path == real {
            return Ok(loaded.environment.clone());
        }
        let other = loaded.path.display();
        return Err(failed(format!(
            "this session has loaded \"{other}\" already; connect again"
        )));
    }
    // The loader would take a directory or a pipe, too, and words its refusal less clearly.
    if !std::fs::metadata(&real)
        .map_err(|cause| unreadable(path, &cause))?
        .is_file()
    {
        return Err(failed("not a regular file".to_string()));
    }
    std::fs::File::open(&real).map_err(|cause| unreadable(path, &cause))?;
    if !is_off(std::env::var_os(TELEMETRY_SWITCH).as_deref()) {
        return Err(failed(format!(
            "the environment variable {TELEMETRY_SWITCH} is not 1"
        )));
    }
    let environment = without_panic(|| {
        let builder = ort::init_from(&real).map_err(|cause| in_words(&cause))?;
        let builder = builder.with_name("vector_migrate").with_telemetry(false);
        builder.build().map_err(|cause| cause.to_string())
    })
    .map_err(failed)?;
    let minor = without_panic(|| Ok(ort::util::probe(&real))).unwrap_or_default();
    let version = minor.map(|minor| format!("1.{minor}"));
    *loaded = Some(Loaded {
        path: real,
        environment: environment.clone(),
        version,
    });
    Ok(environment)
}

/// Version of the loaded runtime, as far as its API tells: `1.32`.
pub(super) fn version() -> Option<String> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.as_ref().and_then(|loaded| loaded.version.clone())
}

/// Runs `work`; a panic in it becomes an error with the panic's message.
pub(super) fn without_panic<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panic_message(&*panic)))
}

pub(super) fn unreadable(path: &Path, cause: &std::io::Error) -> EmbedError {
    EmbedError::Unreadable {
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the library failed without a message")
        .to_string()
}

/// The loader's error without the path, which our own message has.
fn in_words(cause: &LoadDynamicError) -> String {
    match cause {
        // The loader's words, with the name of a library that is missing, come one level down.
        LoadDynamicError::Dlopen { error, .. } => match error.source() {
            Some(source) => source.to_string(),
            None => error.to_string(),
        },
        LoadDynamicError::MissingApi { .. } => {
            "not ONNX Runtime: the symbol OrtGetApiBase is missing".to_string()
        }
        LoadDynamicError::BadVersion { version_str, .. } => {
            let needed = ort::MINOR_VERSION;
            format!("version {version_str} is too old: 1.{needed} or newer is needed")
        }
        other => other.to_string(),
    }
}

fn is_off(switch: Option<&OsStr>) -> bool {
    switch == Some(OsStr::new("1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_that_the_runtime_surely_obeys_turns_collection_off() {
        assert!(is_off(Some(OsStr::new("1"))));
        for other in ["", "0", "true", "yes"] {
            assert!(!is_off(Some(OsStr::new(other))));
        }
        assert!(!is_off(None));
    }

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(
            without_panic::<()>(|| panic!("it broke")),
            Err("it broke".to_string())
        );
        assert_eq!(
            without_panic::<()>(|| panic!("it broke {}", 2)),
            Err("it broke 2".to_string())
        );
        assert_eq!(without_panic(|| Ok(1)), Ok(1));
    }
}
