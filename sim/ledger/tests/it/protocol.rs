//! The wire protocol below the driver.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{Ledger, Socket, rows};

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
