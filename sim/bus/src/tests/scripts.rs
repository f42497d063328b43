//! Lock scripts word for word as clients send them.

use super::world::World;

/// <https://redis.io/docs/latest/commands/set/>
const RELEASE: &str = "if redis.call(\"get\",KEYS[1]) == ARGV[1]\nthen\n    return redis.call(\"del\",KEYS[1])\nelse\n    return 0\nend";
const EXTEND: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";

/// redis-py 5.0, `redis/lock.py`.
const PY_RELEASE: &str = "
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    ";
const PY_EXTEND: &str = "
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == \"0\" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1
    ";
const PY_REACQUIRE: &str = "
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('pexpire', KEYS[1], ARGV[2])
        return 1
    ";

async fn eval(world: &World, words: &[&str]) -> String {
    let mut wire = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| wire += &format!("${}\r\n{word}\r\n", word.len()));
    let mut client = world.client();
    client.send_raw(wire.as_bytes()).await;
    client.lines(1).await.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_extended_and_released_only_by_its_holder() {
    let world = World::start().await;
    for (release, extend) in [(RELEASE, EXTEND), (PY_RELEASE, PY_REACQUIRE)] {
        world.answers(&["SET lock me PX 30000"]).await;
        assert_eq!(eval(&world, &["EVAL", extend, "1", "lock", "you", "90000"]).await, ":0");
        assert_eq!(eval(&world, &["EVAL", extend, "1", "lock", "me", "90000"]).await, ":1");
        assert_eq!(world.answers(&["PTTL lock"]).await, [":90000"]);
        assert_eq!(eval(&world, &["EVAL", release, "1", "lock", "you"]).await, ":0");
        assert_eq!(world.answers(&["GET lock"]).await, ["$2", "me"]);
        assert_eq!(eval(&world, &["EVAL", release, "1", "lock", "me"]).await, ":1");
        assert_eq!(eval(&world, &["EVAL", release, "1", "lock", "me"]).await, ":0");
        assert_eq!(eval(&world, &["EVAL", extend, "1", "lock", "me", "90000"]).await, ":0");
    }
}

#[tokio::test(start_paused = true)]
async fn time_can_be_added_to_a_lock() {
    let world = World::start().await;
    world.answers(&["SET lock me PX 30000", "SET forever me"]).await;
    assert_eq!(eval(&world, &["EVAL", PY_EXTEND, "1", "lock", "me", "5000", "0"]).await, ":1");
    assert_eq!(world.answers(&["PTTL lock"]).await, [":35000"]);
    assert_eq!(eval(&world, &["EVAL", PY_EXTEND, "1", "lock", "me", "5000", "1"]).await, ":1");
    assert_eq!(world.answers(&["PTTL lock"]).await, [":5000"]);
    assert_eq!(eval(&world, &["EVAL", PY_EXTEND, "1", "forever", "me", "5000", "0"]).await, ":0");
}

#[tokio::test(start_paused = true)]
async fn a_script_is_found_by_its_digest_until_it_is_flushed() {
    let world = World::start().await;
    let digest = crate::script::digest(b"return 1");
    assert_eq!(digest, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    let unknown = "-NOSCRIPT No matching script. Please use EVAL.";
    assert_eq!(eval(&world, &["EVALSHA", &digest, "0"]).await, unknown);
    assert_eq!(eval(&world, &["SCRIPT", "LOAD", "return 1"]).await, "$40");
    assert_eq!(eval(&world, &["EVALSHA", &digest.to_ascii_uppercase(), "0"]).await, ":1");
    assert_eq!(world.answers(&[&format!("SCRIPT EXISTS {digest} x")]).await, ["*2", ":1", ":0"]);
    world.answers(&["SCRIPT FLUSH"]).await;
    assert_eq!(eval(&world, &["EVALSHA", &digest, "0"]).await, unknown);
}

#[tokio::test(start_paused = true)]
async fn refusals_name_the_script_and_the_line_as_redis_does() {
    let world = World::start().await;
    world.answers(&["XADD s 1-1 k v"]).await;
    for (source, answer) in [
        (
            "return redis.call(\"get\",KEYS[1])",
            "-WRONGTYPE Operation against a key holding the wrong kind of value script: \
             f2180f334e61b6cd9beecd7eb4721473daaa9f4e, on @user_script:1.",
        ),
        (
            "return redis.pcall(\"get\",KEYS[1])",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "return redis.call(\"nonsense\")",
            "-ERR Unknown Redis command called from script script: 9207e18aa65b43013db84043370df0e2431f7423, on \
             @user_script:1.",
        ),
        (
            "return redis.call(\"get\")",
            "-ERR Wrong number of args calling Redis command from script script: \
             ad9cf9305028be601cfd2abed4ce895eb41a4a6f, on @user_script:1.",
        ),
        (
            "return redis.call(\"exec\")",
            "-ERR This Redis command is not allowed from script script: e51657d1c3e08cf3c9c0bc232d01f6f3e3682ab4, on \
             @user_script:1.",
        ),
        (
            "while true do end",
            "-ERR Error compiling script (new function): user_script:1: 'while' is not supported by this server",
        ),
        ("return 3.99", ":3"),
        ("return redis.call('xread','streams','s','$')", "$-1"),
    ] {
        assert_eq!(eval(&world, &["EVAL", source, "1", "s"]).await, answer, "{source}");
    }
    assert_eq!(
        eval(&world, &["EVAL", "return 1", "1"]).await,
        "-ERR Number of keys can't be greater than number of args"
    );
    assert_eq!(eval(&world, &["EVAL", "return 1", "-1"]).await, "-ERR Number of keys can't be negative");
}
