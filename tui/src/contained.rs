//! Work beside the loop whose panic ends nothing else: it becomes a sentence, and the terminal stays as it is.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use collab_core::plan::HELPER;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` says, or what it panicked with. Nothing that `work` changes may be used after a panic.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(before);
    outcome.map_err(|panic| words(&*panic))
}

/// Whether a panic of this thread would be caught by [`contained`], or raised again in a thread that asked for help.
pub fn is_contained() -> bool {
    CONTAINED.get() || std::thread::current().name() == Some(HELPER)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_sentence_and_only_where_it_is_contained() {
        assert_eq!(contained(|| 5), Ok(5));
        let row = 7;
        let inner = contained(|| {
            assert!(is_contained());
            assert_eq!(contained(|| -> u8 { panic!("row {row}") }), Err("row 7".to_owned()));
            assert!(is_contained(), "still within the outer one");
        });
        assert_eq!(inner, Ok(()));
        assert!(!is_contained());
    }
}
