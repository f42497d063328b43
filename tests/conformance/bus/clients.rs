//! redis-cli and redis-py with the bus and with Redis: both servers want a password.

use crate::{
    clients::{compare, script, transcript},
    report,
    servers::{Server, program, version},
    tolerated::Tolerance,
};

const PASSWORD: &str = "pw";

#[test]
fn clients_of_redis_see_no_difference() {
    let real = Server::redis(&["--requirepass", PASSWORD, "--appendonly", "yes"]);
    let ours = Server::ours("bus", &["--password", PASSWORD]);
    let tolerance = Tolerance::of("bus clients");
    let redis_cli = program("redis-cli");
    let redis_cli = redis_cli.to_str().expect("a path of text");
    let redis_py = script("redis_py_session.py");
    let redis_py = redis_py.to_str().expect("a path of text");
    let cli = |server: &Server| {
        transcript(&script("redis_cli_session.sh"), &[redis_cli, &server.port.to_string(), PASSWORD])
    };
    let py =
        |server: &Server| transcript(&program("python"), &[redis_py, &server.port.to_string(), PASSWORD]);
    let rows = [
        ["redis-cli".into(), version("redis-cli"), compare(&tolerance, &cli(&real), &cli(&ours)).to_string()],
        ["redis-py".into(), report::pinned("redis"), compare(&tolerance, &py(&real), &py(&ours)).to_string()],
    ];
    tolerance.assert_all_used();
    let table = report::table(["client", "version", "steps"], rows);
    report::check("bus clients", &format!("### Sessions of Redis clients\n\n{table}\n{}", tolerance.table()));
}
