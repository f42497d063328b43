//! S15: state files survive whatever happens to their process and machine.

use std::collections::BTreeMap;

use runtime::state::version_of;
use sim::{Invariant, View, invariant, trace::Event};

/// Events after which a process has only what is on its platter.
const CRASHES: &[&str] = &["disk.crashed", "host.killed", "host.lost_power"];

/// What was saved and acknowledged is on the platter, whole, as the file or as its backup, from then on.
pub fn acknowledged_state_survives() -> Invariant {
    let mut saved: BTreeMap<(String, String), u64> = BTreeMap::new();
    invariant("an acknowledged state file survives any crash", move |event, view| {
        match event.name {
            "state.saved" => {
                let path = event.text("path").unwrap_or_default().to_owned();
                let version = event.number("version").unwrap_or_default();
                saved.insert((event.host.to_string(), path.clone()), version);
                is_there(view, &event.host, &path, version)
            }
            // What a fault of the disk took is not the process's to answer for.
            "fault.bit" => {
                let fault = event.text("fault").unwrap_or_default();
                let hit = |host: &str| {
                    ["corrupt", "vanish"]
                        .iter()
                        .any(|what| fault.starts_with(&format!("disk {what} {host} ")))
                };
                saved.retain(|(host, _), _| !hit(host));
                Ok(())
            }
            crash if CRASHES.contains(&crash) => every_one(&saved, event, view),
            _ => Ok(()),
        }
    })
}

fn every_one(saved: &BTreeMap<(String, String), u64>, event: &Event, view: &View<'_>) -> Result<(), String> {
    let mut of_the_host = saved.iter().filter(|((host, _), _)| **host == *event.host);
    of_the_host.try_for_each(|((host, path), version)| is_there(view, host, path, *version))
}

fn is_there(view: &View<'_>, host: &str, path: &str, version: u64) -> Result<(), String> {
    let on_platter = |path: &str| view.durable(host, path, |file| file.map(version_of));
    let (file, backup) = (on_platter(path), on_platter(&format!("{path}.bak")));
    let newest = [&file, &backup].into_iter().filter_map(|found| found.as_ref()?.as_ref().ok()).max();
    match (&file, newest) {
        (Some(Err(reason)), _) => Err(format!("{host}: {path}: {reason}")),
        (_, Some(newest)) if *newest >= version => Ok(()),
        (_, newest) => Err(format!("{host}: {path} was saved as {version}, the platter has {newest:?}")),
    }
}
