//! The words of the faults, and what acts on what: read back, and refused where they make no sense.

use faults::{Board, Port};
use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Fault, Unexpected> {
    let mut words = Words::new(text);
    let fault = <Fault as faults::Fault>::read(&mut words)?;
    words.end("the end of the fault")?;
    Ok(fault)
}

fn span() -> impl Strategy<Value = Duration> {
    (1..600_000_u64).prop_map(Duration::from_millis)
}

fn delay() -> impl Strategy<Value = Delay> {
    (span(), span()).prop_map(|(a, b)| Delay { least: a.min(b), most: a.max(b) })
}

fn requests() -> impl Strategy<Value = Requests> {
    let class = prop_oneof![Just(Class::All), prop::sample::select(Class::NARROW.to_vec())];
    (0..=100_u64, class).prop_map(|(percent, class)| Requests { percent, class })
}

fn audience() -> impl Strategy<Value = Option<Audience>> {
    prop::sample::select(vec![None, Some(Audience::Market), Some(Audience::User)])
}

fn fault() -> impl Strategy<Value = Fault> {
    let fate = prop::sample::select(vec![Fate::Drawn, Fate::Dropped, Fate::Executed]);
    let blank = prop::sample::select(Blank::ALL.to_vec());
    prop_oneof![
        (0..=100_u64).prop_map(|percent| Fault::AckLost { percent }),
        span().prop_map(|span| Fault::Ban(Wait::new(span))),
        requests().prop_map(Fault::Definite),
        prop::sample::select(vec![
            Fault::DuplicateConfirmation,
            Fault::DuplicateFill,
            Fault::TokenExpiry,
            Fault::ListenKeyExpiry { silent: true },
            Fault::ListenKeyExpiry { silent: false },
        ]),
        delay().prop_map(Fault::FillBeforeAck),
        delay().prop_map(Fault::LateEvents),
        (0..=100_u64).prop_map(|percent| Fault::Overload { percent }),
        (0..=100_u64).prop_map(|percent| Fault::PartialFill { percent }),
        span().prop_map(Fault::QueryLag),
        span().prop_map(|span| Fault::RateLimit(Wait::new(span))),
        (delay(), any::<bool>()).prop_map(|(delay, anyhow)| Fault::ReorderedEvents { delay, anyhow }),
        span().prop_map(Fault::StaleBalance),
        span().prop_map(Fault::StalePositions),
        (0..=100_u64, any::<bool>()).prop_map(|(percent, frames)| Fault::StreamCorrupt { percent, frames }),
        audience().prop_map(Fault::StreamDrop),
        audience().prop_map(Fault::StreamMute),
        (blank, requests(), fate).prop_map(|(blank, requests, fate)| Fault::Unknown {
            blank,
            requests,
            fate
        }),
    ]
}

proptest! {
    #[test]
    fn every_fault_is_read_back_as_it_is_written(fault in fault()) {
        prop_assert_eq!(read(&fault.to_string()), Ok(fault));
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in ".*", words in "([a-z0-9%.-]{1,12} ){0,4}") {
        let _ = (read(&text), read(&words));
    }
}

#[test]
fn what_a_plan_leaves_out_is_all_of_it() {
    let all = Requests { percent: 100, class: Class::All };
    assert_eq!(read("definite-503"), Ok(Fault::Definite(all)));
    assert_eq!(read("ack-lost 7%"), Ok(Fault::AckLost { percent: 7 }));
    let unknown = |requests, fate| Ok(Fault::Unknown { blank: Blank::Unknown, requests, fate });
    assert_eq!(read("unknown-503 100% all"), unknown(all, Fate::Drawn));
    let orders = Requests { percent: 30, class: Class::Orders };
    assert_eq!(read("unknown-503 30% orders executed"), unknown(orders, Fate::Executed));
}

#[test]
fn what_is_no_fault_is_refused_with_what_was_expected() {
    let board = Board::<Fault>::new();
    let told = |text| board.check(text).expect_err(text).to_string();
    assert!(told("ack-late").ends_with("unexpected-response or unknown-503, found `ack-late`"));
    assert_eq!(told("unknown-503"), "expected a share from 0% to 100%, found the end of the line");
    assert_eq!(told("ack-lost 101%"), "expected a share from 0% to 100%, found `101%`");
    assert_eq!(
        told("query-lag 11m"),
        "expected a time of no more than 10m, such as 250ms or 12s, found `11m`"
    );
    assert_eq!(told("overload 5% queries"), "expected the end of the fault, found `queries`");
    assert_eq!((board.check("stream-drop user"), board.check("stream-mute user")), (Ok(false), Ok(true)));
}
