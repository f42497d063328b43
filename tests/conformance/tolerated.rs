//! Where ours may differ from the real server, and why. A difference that no entry admits fails the test; so does an entry
//! that admits nothing.

use std::cell::RefCell;

use crate::{postgres::known::KNOWN, report::escaped};

/// A difference that is admitted.
pub struct Tolerated {
    /// What is compared: `bus commands`, `ledger clients` …
    pub scope: &'static str,
    /// What was asked; `*` stands for any text, here and below.
    pub request: &'static str,
    /// What the real server answers.
    pub real: &'static str,
    /// What ours answers.
    pub ours: &'static str,
    /// Why that is right, or good enough.
    pub reason: &'static str,
}

/// By scope, then by request.
pub const TOLERATED: &[Tolerated] = &[
    Tolerated {
        scope: "bus commands",
        request: "OBJECT ENCODING *",
        real: "$\"embstr\"",
        ours: "$\"int\"",
        reason: "a number that Redis keeps as it was computed or cut; ours judges every string like one that was set",
    },
    Tolerated {
        scope: "bus commands",
        request: "OBJECT ENCODING *",
        real: "$\"raw\"",
        ours: "*",
        reason: "a string that Redis built piece by piece; ours judges every string like one that was set",
    },
    Tolerated {
        scope: "bus commands",
        request: "OBJECT REFCOUNT *",
        real: ":*",
        ours: ":*",
        reason: "as the encoding: whether a small number is a shared one",
    },
    Tolerated {
        scope: "ledger psycopg",
        request: "a named cursor",
        real: "*",
        ours: "FeatureNotSupported 0A000 DECLARE *",
        reason: "The ledger has no cursors of SQL: the system reads by portals of the protocol.",
    },
    Tolerated {
        scope: "ledger psycopg",
        request: "rows are copied in and out",
        real: "*",
        ours: "FeatureNotSupported 0A000 COPY *",
        reason: "The ledger has no COPY: the system writes by keyed statements only.",
    },
];

/// The entries of one scope, and which of them were needed.
pub struct Tolerance {
    entries: Vec<&'static Tolerated>,
    used: RefCell<Vec<bool>>,
}

impl Tolerance {
    pub fn of(scope: &str) -> Self {
        let entries: Vec<_> = TOLERATED.iter().chain(KNOWN).filter(|entry| entry.scope == scope).collect();
        let used = RefCell::new(vec![false; entries.len()]);
        Self { entries, used }
    }

    /// Whether the two answers to `request` may differ as they do.
    pub fn admits(&self, request: &str, real: &str, ours: &str) -> bool {
        let fits = |entry: &&Tolerated| {
            matches(entry.request, request) && matches(entry.real, real) && matches(entry.ours, ours)
        };
        let found = self.entries.iter().position(fits);
        if let Some(index) = found {
            self.used.borrow_mut()[index] = true;
        }
        found.is_some()
    }

    /// # Panics
    /// Naming the entries that admitted nothing.
    pub fn assert_all_used(&self) {
        let used = self.used.borrow();
        let unused: Vec<&str> = self
            .entries
            .iter()
            .zip(&*used)
            .filter(|(_, used)| !**used)
            .map(|(entry, _)| entry.request)
            .collect();
        assert!(unused.is_empty(), "these entries of tolerated.rs admit nothing: {unused:?}");
    }

    /// The entries as a table of the report.
    pub fn table(&self) -> String {
        if self.entries.is_empty() {
            return "No difference is tolerated.\n".into();
        }
        let rows = self.entries.iter().map(|entry| {
            let code = |text: &str| format!("`{}`", escaped(text));
            [code(entry.request), code(entry.real), code(entry.ours), entry.reason.into()]
        });
        crate::report::table(["request", "real", "ours", "why that is tolerated"], rows)
    }
}

/// Whether `text` is what `pattern` says, where `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches(rest, &tail[at..]))
        }),
    }
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, text) in [("", ""), ("*", ""), ("*", "abc"), ("a*c", "abc"), ("a*c", "ac"), ("*b*", "abc")]
    {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("", "a"), ("a", ""), ("a*c", "ab"), ("a*b", "abc"), ("*d*", "abc")] {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}

#[test]
fn entries_are_in_order_and_have_reasons() {
    for entries in [TOLERATED, KNOWN] {
        assert!(entries.is_sorted_by_key(|entry| (entry.scope, entry.request)));
        assert!(entries.iter().all(|entry| !entry.reason.is_empty()));
    }
}
