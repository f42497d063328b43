//! The two halves of the workload against each other and against peers that misbehave, over an in-memory pipe.

use std::cell::RefCell;
use std::future::{pending, ready};
use std::io::ErrorKind;
use std::time::Duration;

use harness::Tally;
use harness::workload::{ask, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::Notify;

#[tokio::test]
async fn every_answer_is_counted_and_messages_are_due_at_the_rate() {
    let (client, server) = duplex(64);
    let (tally, due, second_over) = (Tally::default(), RefCell::new(Vec::new()), Notify::new());
    let until = async |offset| {
        due.borrow_mut().push(offset);
        if offset >= Duration::from_secs(1) {
            second_over.notify_one();
            pending().await
        }
    };
    tokio::select! {
        biased;
        ended = ask(client, 4, tally.clone(), until) => panic!("a client goes on until it is dropped: {ended:?}"),
        ended = serve(server) => panic!("a server goes on until its client closes: {ended:?}"),
        () = second_over.notified() => {}
    }
    assert_eq!((tally.connected(), tally.echoes()), (1, 4));
    assert_eq!(
        due.into_inner(),
        [0, 250, 500, 750, 1000].map(Duration::from_millis)
    );
}

#[tokio::test]
async fn a_silent_client_keeps_its_connection_open() {
    let (client, mut server) = duplex(64);
    let tally = Tally::default();
    tokio::select! {
        biased;
        ended = ask(client, 0, tally.clone(), |_| ready(())) => panic!("a client goes on until it is dropped: {ended:?}"),
        read = server.read_u8() => panic!("the client sent or closed: {read:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!((tally.connected(), tally.echoes()), (1, 0));
}

#[tokio::test]
async fn an_answer_that_is_not_the_message_is_an_error() {
    let (client, mut server) = duplex(64);
    let tally = Tally::default();
    server.write_all(b"HELLO WORLD").await.unwrap();
    let error = ask(client, 1, tally.clone(), |_| ready(())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(tally.echoes(), 0);
}

#[tokio::test]
async fn the_server_ends_when_its_client_closes() {
    let (client, server) = duplex(64);
    drop(client);
    assert!(serve(server).await.is_ok());
}
