//! A server on loopback and clients of it.

use std::{pin::Pin, sync::Arc};

use env::Env;
pub use ledger::WAL;
use ledger::{Config, Server};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage, error::DbError};

use crate::disk::FaultyDisk;

/// The system's own socket.
#[expect(clippy::disallowed_types, reason = "a test talks to the server from outside its environment")]
pub type Socket = tokio::net::TcpStream;

/// A running server; it ends with the value.
pub struct Ledger {
    pub disk: FaultyDisk,
    port: u16,
    server: JoinHandle<()>,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn env_on(disk: &FaultyDisk) -> Env {
    let config = env::os::Config {
        listen_ip: "127.0.0.1".into(),
        data_dir: std::env::temp_dir(),
        ..Default::default()
    };
    Env { disk: Arc::new(disk.clone()), ..env::os::env(config).unwrap() }
}

impl Ledger {
    pub async fn start() -> Self {
        Self::on(FaultyDisk::default()).await
    }

    pub async fn on(disk: FaultyDisk) -> Self {
        Self::with(disk, Config::default()).await
    }

    #[expect(clippy::disallowed_methods, reason = "the test itself runs on the system")]
    pub async fn with(disk: FaultyDisk, config: Config) -> Self {
        let server = Server::bind(env_on(&disk), Config { port: 0, ..config }).await.unwrap();
        let port = server.port().unwrap();
        let server = tokio::spawn(async move {
            let ended = server.run().await;
            panic!("the server ended: {ended:?}");
        });
        Self { disk, port, server }
    }

    pub async fn socket(&self) -> Socket {
        socket(self.port).await
    }

    /// Connects, or says why not.
    pub async fn try_client(&self) -> Result<Client, Error> {
        connect(self.port).await
    }

    /// Connects, waiting until recovery is over.
    pub async fn client(&self) -> Client {
        loop {
            match self.try_client().await {
                Ok(client) => return client,
                Err(error) if error.code().is_some_and(|code| code.code() == "57P03") => {}
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// A server with one table `t (id BIGINT PRIMARY KEY, note TEXT)`, and a client.
    pub async fn with_table() -> (Self, Client) {
        let ledger = Self::start().await;
        let client = ledger.client().await;
        client.batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT)").await.unwrap();
        (ledger, client)
    }

    /// The server's disk after a power loss, under a new server.
    pub async fn after_power_loss(&self) -> Self {
        Self::on(FaultyDisk::with(self.disk.platter())).await
    }
}

async fn socket(port: u16) -> Socket {
    let socket = Socket::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Connects to a server, or says why not.
#[expect(clippy::disallowed_methods, reason = "the test itself runs on the system")]
pub async fn connect(port: u16) -> Result<Client, Error> {
    let mut config = tokio_postgres::Config::new();
    config.user("trader").dbname("ledger").application_name("test");
    let (client, connection) = config.connect_raw(socket(port).await, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Every row of a query in text form: columns joined by `|`, null as `-`.
pub async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> = (0..row.len()).map(|index| row.get(index).unwrap_or("-")).collect();
                Some(values.join("|"))
            }
            _ => None,
        })
        .collect()
}

/// The server's error for a statement that must fail.
pub async fn fault(client: &Client, sql: &str) -> DbError {
    match client.simple_query(sql).await {
        Ok(_) => panic!("{sql}: should fail"),
        Err(error) => error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}")).clone(),
    }
}

/// The error of a request that must fail.
pub fn told<T: std::fmt::Debug>(outcome: Result<T, Error>) -> DbError {
    let error = outcome.expect_err("it should fail");
    error.as_db_error().unwrap_or_else(|| panic!("{error}")).clone()
}

/// Whether `work` cannot go on by itself: the server has answered others meanwhile.
pub async fn waits<T>(ledger: &Ledger, work: Pin<&mut impl Future<Output = T>>) -> bool {
    let others = async {
        let client = ledger.client().await;
        for _ in 0..3 {
            rows(&client, "SELECT 1").await;
        }
    };
    tokio::select! {
        biased;
        _ = work => false,
        () = others => true,
    }
}

/// The SQLSTATE of a statement that must fail.
pub async fn code(client: &Client, sql: &str) -> String {
    fault(client, sql).await.code().code().to_owned()
}
