//! The wire protocol below the driver.

use std::time::Duration;

use ledger::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    disk::FaultyDisk,
    fixture::{Ledger, Socket, rows},
};

const STARTUP: &[u8] = b"\0\0\0\x11\0\x03\0\0user\0me\0\0";

/// Reads until the server closes.
async fn everything(mut socket: Socket) -> Vec<u8> {
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await.unwrap().unwrap();
    answer
}

fn contains(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_declined_and_the_session_goes_on() {
    let ledger = Ledger::start().await;
    drop(ledger.client().await);
    let mut socket = ledger.socket().await;
    socket.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\x04\xd2\x16\x30").await.unwrap();
    let mut declined = [0; 2];
    socket.read_exact(&mut declined).await.unwrap();
    assert_eq!(&declined, b"NN");
    socket.write_all(STARTUP).await.unwrap();
    socket.write_all(b"Q\0\0\0\x0dSELECT 1\0X\0\0\0\x04").await.unwrap();
    let answer = everything(socket).await;
    assert!(contains(&answer, "server_version\u{0}16.4"));
    assert!(contains(&answer, "SELECT 1\0Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_are_answered_and_hurt_nobody_else() {
    let (ledger, client) = Ledger::with_table().await;
    for (bytes, code) in [
        (&b"Q\0\0\0\x02"[..], "08P01"),
        (b"Q\x7f\xff\xff\xff", "08P01"),
        (b"!\0\0\0\x04", "08P01"),
        (b"Q\0\0\0\x06\xff\0X\0\0\0\x04", "22021"),
        (b"B\0\0\0\x06\0\0S\0\0\0\x04X\0\0\0\x04", "08P01"),
        (b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04X\0\0\0\x04", "34000"),
        (b"D\0\0\0\x06S\0S\0\0\0\x04X\0\0\0\x04", "26000"),
        (b"F\0\0\0\x04X\0\0\0\x04", "0A000"),
    ] {
        let mut socket = ledger.socket().await;
        socket.write_all(STARTUP).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let answer = everything(socket).await;
        assert!(contains(&answer, &format!("C{code}\0")), "{bytes:?}");
    }
    for opening in [&b"\0\0\0\x02"[..], b"\0\0\0\x08\0\x02\0\0", b"\0\0\0\x09\0\x03\0\0\0"] {
        let mut socket = ledger.socket().await;
        socket.write_all(opening).await.unwrap();
        assert!(contains(&everything(socket).await, "FATAL"), "{opening:?}");
    }
    assert_eq!(rows(&client, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_its_rows_in_portions() {
    let (_ledger, mut client) = Ledger::with_table().await;
    client.batch_execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT id FROM t ORDER BY id", &[]).await.unwrap();
    for expected in [&[1_i64, 2][..], &[3], &[]] {
        let rows = transaction.query_portal(&portal, 2).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), expected);
    }
    transaction.commit().await.unwrap();
}

/// Startup, then `messages`; the whole answer.
async fn exchange(ledger: &Ledger, messages: &[u8]) -> Vec<u8> {
    let mut socket = ledger.socket().await;
    socket.write_all(STARTUP).await.unwrap();
    socket.write_all(messages).await.unwrap();
    everything(socket).await
}

fn kinds(answer: &[u8]) -> String {
    let mut kinds = String::new();
    let mut rest = answer;
    while let Some((header, _)) = rest.split_first_chunk::<5>() {
        kinds.push(char::from(header[0]));
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
        rest = &rest[1 + length..];
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for_when_there_is_one() {
    let config = Config { password: Some("secret".into()), ..Config::default() };
    let ledger = Ledger::with(FaultyDisk::default(), config).await;
    while contains(&exchange(&ledger, b"X\0\0\0\x04").await, "57P03") {}
    let right = exchange(&ledger, b"p\0\0\0\x0bsecret\0X\0\0\0\x04").await;
    assert!(kinds(&right).starts_with("RRS") && kinds(&right).ends_with("KZ"));
    let wrong = exchange(&ledger, b"p\0\0\0\x0bSECRET\0").await;
    assert_eq!(kinds(&wrong), "RE");
    assert!(contains(&wrong, "28P01") && contains(&wrong, "password authentication failed for user \"me\""));
    assert!(contains(&exchange(&ledger, b"Q\0\0\0\x0dSELECT 1\0").await, "08P01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_error_everything_is_skipped_up_to_the_next_sync() {
    let (ledger, _client) = Ledger::with_table().await;
    let parse = |sql: &str| {
        [b"P", &((sql.len() + 8) as u32).to_be_bytes()[..], b"\0", sql.as_bytes(), b"\0\0\0"].concat()
    };
    let bind = b"B\0\0\0\x0c\0\0\0\0\0\0\0\0";
    let execute = b"E\0\0\0\x09\0\0\0\0\0";
    let (sync, end) = (b"S\0\0\0\x04", b"X\0\0\0\x04");
    let run = |sql: &str| [&parse(sql)[..], bind, execute].concat();
    let pipeline = [
        &run("INSERT INTO t VALUES (1, 'a')")[..],
        &run("SELECT 1 / 0"),
        &run("INSERT INTO t VALUES (2, 'skipped')"),
        sync,
        &run("INSERT INTO t VALUES (3, 'c')"),
        sync,
        end,
    ]
    .concat();
    let answer = exchange(&ledger, &pipeline).await;
    assert!(kinds(&answer).ends_with("KZ12C1EZ12CZ"), "{}", kinds(&answer));
    assert_eq!(
        rows(&ledger.client().await, "SELECT id FROM t").await,
        ["3"],
        "a pipeline is one transaction"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_creates_what_exists_is_told_so() {
    let (ledger, _client) = Ledger::with_table().await;
    let answer = exchange(&ledger, b"Q\0\0\0\x2dCREATE TABLE IF NOT EXISTS t (id BIGINT)\0X\0\0\0\x04").await;
    assert!(kinds(&answer).ends_with("ZNCZ"), "{}", kinds(&answer));
    assert!(contains(&answer, "VNOTICE\0C42P07\0Mrelation \"t\" already exists, skipping\0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_one_too_many_is_told_so_and_cancel_requests_still_pass() {
    let config = Config { max_connections: 2, ..Config::default() };
    let ledger = Ledger::with(FaultyDisk::default(), config).await;
    let (first, _second) = (ledger.client().await, ledger.client().await);
    let error = ledger.try_client().await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "53300");
    first.cancel_token().cancel_query_raw(ledger.socket().await, tokio_postgres::NoTls).await.unwrap();
    assert_eq!(rows(&first, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_before_a_flush_is_told_without_waiting_for_a_sync() {
    let ledger = Ledger::start().await;
    drop(ledger.client().await);
    let mut socket = ledger.socket().await;
    socket.write_all(STARTUP).await.unwrap();
    socket.write_all(b"P\0\0\0\x0d\0SELEC\0\0\0H\0\0\0\x04").await.unwrap();
    let mut answer = Vec::new();
    while !contains(&answer, "C42601\0") {
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read_buf(&mut answer)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "the server closed the connection");
    }
}
