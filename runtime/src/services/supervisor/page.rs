//! The status page: `health_v2.json` as a table, and nothing else.
//!
//! It keeps nothing of its own, so it cannot show anything but what the file says. A fixed layout, without scripts: no alert
//! moves it.

use std::fmt::Write;

use super::files::HealthFile;
use env::WallTime;

/// The page for what the file says.
pub(super) fn html(health: &HealthFile) -> String {
    let HealthFile { dor, failing_components, probes, stage, ts, seq } = health;
    let mut rows = String::new();
    for (component, line) in probes {
        let state = if line.ok { "ok" } else { "failing" };
        // Writing to a string does not fail.
        let _ = writeln!(
            rows,
            "<tr class=\"{state}\"><td>{}</td><td>{state}</td><td>{}</td></tr>",
            escaped(component),
            escaped(&line.seen)
        );
    }
    let failing = if failing_components.is_empty() { "none".into() } else { failing_components.join(", ") };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>tradewind</title>\n\
         <style>body{{font-family:sans-serif}}td,th{{padding:.2em 1em;text-align:left}}.failing{{color:#b00}}</style></head>\n\
         <body><h1>DOR {dor}</h1>\n<p>failing: {}; stage {}; check {seq} at {}</p>\n<table>\n\
         <tr><th>component</th><th>state</th><th>seen</th></tr>\n{rows}</table></body></html>\n",
        escaped(&failing),
        escaped(stage),
        WallTime::from_millis(*ts),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{
            heal::Stage,
            health::{Component, Health, dependency},
        },
        state::State,
    };

    #[test]
    fn the_page_shows_each_probe_and_no_markup_of_others() {
        let mut health = Health::default();
        health.probes.insert(Component::Bus, dependency(Some("<script>".into())));
        health.probes.insert(Component::Ledger, dependency(None));
        let file = HealthFile::new(&health, Stage::Rewire, 0, 3);
        assert_eq!(file.check(), Ok(()));
        let page = html(&file);
        assert!(page.contains("<h1>DOR false</h1>"), "{page}");
        assert!(page.contains("<td>Bus</td><td>failing</td><td>&lt;script&gt;</td>"), "{page}");
        assert!(page.contains("<td>Ledger</td><td>ok</td>"), "{page}");
    }
}
