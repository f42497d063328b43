//! Lines prove themselves and their place, whatever is done to the file.

use proptest::prelude::*;

use super::*;

fn sent(n: u64) -> Event {
    Event::Sent { order: format!("tw-{n}").parse().unwrap(), attempt: 1 }
}

/// A file of `count` lines, and where each of them ends.
fn file(count: u64) -> (Vec<u8>, Vec<usize>) {
    let (mut chain, mut file, mut ends) = (Chain::default(), Vec::new(), Vec::new());
    for n in 1..=count {
        chain.append(WallTime::from_micros(1_000 + n as i64), sent(n), &mut file).unwrap();
        ends.push(file.len());
    }
    (file, ends)
}

fn numbers(reading: &Reading) -> Vec<u64> {
    reading.records.iter().map(|record| record.seq).collect()
}

#[test]
fn what_was_appended_is_read_back_in_order() {
    let order: ClientOrderId = "tw-BTCUSDT-7-in".parse().unwrap();
    let events = [
        Event::Intent {
            order: order.clone(),
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            qty: "0.002".parse().unwrap(),
            reduce_only: false,
        },
        Event::Sent { order: order.clone(), attempt: 1 },
        Event::Became {
            order: order.clone(),
            status: Status::Unknown,
            reason: Some("no \"answer\"\nin time".into()),
        },
        Event::Filled {
            order,
            trade_id: 9,
            qty: "0.002".parse().unwrap(),
            price: "65000.1".parse().unwrap(),
        },
        Event::Quarantined { file: "journal.corrupt-1.jsonl".into(), first: 3, last: 4 },
    ];
    let (mut chain, mut file) = (Chain::default(), Vec::new());
    for event in &events {
        chain.append(WallTime::from_micros(5), event.clone(), &mut file).unwrap();
    }
    let reading = read(Chain::default(), &file);
    let read: Vec<&Event> = reading.records.iter().map(|record| &record.event).collect();
    assert_eq!(read, events.iter().collect::<Vec<_>>());
    assert_eq!(numbers(&reading), [1, 2, 3, 4, 5]);
    assert_eq!((reading.holes, reading.intact, reading.chain), (vec![], file.len(), chain));
}

#[test]
fn a_line_has_the_form_that_was_promised() {
    let (file, _) = file(1);
    let text = String::from_utf8(file).unwrap();
    let zeros = "0".repeat(64);
    let body = format!(
        "{{\"seq\":1,\"prev\":\"{zeros}\",\"at\":1001,\"event\":{{\"sent\":{{\"order\":\"tw-1\",\"attempt\":1}}}}"
    );
    assert_eq!(text, format!("{body},\"hash\":\"{}\"}}\n", LineHash::of(body.as_bytes())));
}

#[test]
fn a_file_cut_off_anywhere_ends_with_its_last_whole_line() {
    let (file, ends) = file(3);
    for kept in 0..file.len() {
        let reading = read(Chain::default(), &file[..kept]);
        let whole = ends.iter().filter(|end| **end <= kept).count();
        assert_eq!(reading.records.len(), whole, "{kept} bytes");
        assert_eq!(reading.intact, if whole == 0 { 0 } else { ends[whole - 1] });
        assert_eq!(reading.holes, []);
    }
}

#[test]
fn the_chain_goes_on_behind_a_torn_tail() {
    let (mut file, ends) = file(3);
    file.truncate(ends[1] + 10);
    let Reading { mut chain, intact, .. } = read(Chain::default(), &file);
    file.truncate(intact);
    chain.append(WallTime::from_micros(7), sent(9), &mut file).unwrap();
    let reading = read(Chain::default(), &file);
    assert_eq!((numbers(&reading), reading.holes), (vec![1, 2, 3], vec![]));
}

#[test]
fn a_line_that_is_left_out_leaves_a_hole_without_bytes() {
    let (mut file, ends) = file(4);
    file.drain(ends[0]..ends[2]);
    let reading = read(Chain::default(), &file);
    assert_eq!(numbers(&reading), [1, 4]);
    assert_eq!(reading.holes, [Hole { bytes: ends[0]..ends[0], first: 2, last: 3 }]);
}

#[test]
fn lines_that_are_repeated_or_swapped_break_the_chain() {
    let (file, ends) = file(3);
    let (one, two, three) = (&file[..ends[0]], &file[ends[0]..ends[1]], &file[ends[1]..]);
    for lines in [[one, one, two], [one, three, two], [two, one, three]] {
        let reading = read(Chain::default(), &lines.concat());
        assert!(!reading.holes.is_empty(), "{lines:?}");
    }
}

#[test]
fn the_first_line_of_a_later_file_must_follow_the_file_before() {
    let (file, ends) = file(4);
    let before = read(Chain::default(), &file[..ends[1]]).chain;
    assert_eq!(read(before, &file[ends[1]..]).holes, []);
    assert_eq!(read(before, &file[ends[2]..]).holes.len(), 1);
    assert_eq!(read(Chain::default(), &file[ends[2]..]).holes, [], "nothing is known of the file before");
}

proptest! {
    #[test]
    fn a_changed_byte_costs_its_line_and_no_other(count in 2..8_u64, at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (mut file, ends) = file(count);
        let at = at.index(file.len());
        file[at] ^= flip;
        let hit = ends.iter().filter(|end| **end <= at).count() as u64 + 1;
        // A line feed that is gone joins two lines; one that comes up splits a line.
        let joined = ends.contains(&(at + 1)).then_some(hit + 1);
        let reading = read(Chain::default(), &file);
        let expected: Vec<u64> = (1..=count).filter(|n| *n != hit && Some(*n) != joined).collect();
        prop_assert_eq!(numbers(&reading), expected);
        let torn = hit == count || joined == Some(count);
        prop_assert_eq!(reading.holes.len(), usize::from(!torn));
        prop_assert_eq!(reading.intact < file.len(), torn);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(read(Chain::default(), &bytes).records, vec![]);
    }
}
