//! A lake in a bucket: written and read by the desk's commands, held by one writer, and closed to
//! one that has lost its lease. The store is moto's server, a process of its own.

#![cfg(test)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use deltadesk::market::clock::Stopwatch;
use serde_json::Value;
use tempfile::TempDir;

use super::homes::{binary, lay_out, refused, text};
use super::same_world::python;

/// Within which something must have happened.
const BOUND: f64 = 60.0;

/// The lease's object.
const LEASE: &str = "lake/_lease.json";

/// A store that is ended with the test.
struct Store {
    server: Child,
    port: u16,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Store {
    /// With one bucket, `desk`.
    fn start() -> Option<Self> {
        let python = python()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(python.with_file_name("moto_server"))
            .args(["-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let store = Self { server, port };
        wait_until("the store answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        store.ask(&["make"], "");
        Some(store)
    }

    /// Does something at the store as somebody who is not the desk.
    fn ask(&self, what: &[&str], body: &str) -> String {
        let mut child = Command::new(python().unwrap())
            .args([&["tests/clients/bucket.py", &self.port.to_string()], what].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let answer = child.wait_with_output().unwrap();
        assert!(answer.status.success());
        String::from_utf8(answer.stdout).unwrap()
    }

    fn command(&self, home: &Path, arguments: &[&str]) -> Command {
        let home = home.display().to_string();
        let mut command = binary(&[arguments, &["--home", &home]].concat());
        command
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "desk")
            .env("AWS_SECRET_ACCESS_KEY", "desk");
        command
    }

    fn desk(&self, home: &Path, arguments: &[&str]) -> Output {
        self.command(home, arguments).output().unwrap()
    }

    fn done(&self, home: &Path, arguments: &[&str]) -> String {
        let answer = self.desk(home, arguments);
        assert!(answer.status.success(), "{arguments:?}: {}", text(&answer));
        String::from_utf8(answer.stdout).unwrap()
    }

    fn lease(&self) -> Value {
        serde_json::from_str(&self.ask(&["get", LEASE], "")).unwrap_or_default()
    }
}

fn wait_until(what: &str, happened: impl Fn() -> bool) {
    let waited = Stopwatch::start();
    while !happened() {
        assert!(waited.elapsed_seconds() < BOUND, "not in {BOUND} s: {what}");
        wait(Duration::from_millis(200));
    }
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// A home whose lake lies in the bucket.
fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    lay_out(home.path(), &[("lake", "address", "s3://desk/lake".into())]);
    home
}

#[test]
fn a_lake_in_a_bucket_is_written_read_and_held_by_one() {
    let Some(store) = Store::start() else { return };
    let home = home();
    refused(&store.desk(home.path(), &["sql", "select 1"]), &["has no tables yet"]);
    refused(&store.desk(home.path(), &["demo"]), &["a demo keeps its lake in its home"]);
    store.done(home.path(), &["run", "reference"]);
    assert!(!home.path().join("lake/bronze").exists());
    let sql = "select count(*) > 0 from bronze.contracts";
    assert!(store.done(home.path(), &["sql", sql, "--format", "csv"]).contains("true"));
    assert!(store.done(home.path(), &["lake", "status"]).contains("bronze.contracts"));
    assert!(store.done(home.path(), &["lake", "verify"]).contains("the lake is sound"));
    store.done(home.path(), &["lake", "compact"]);
    assert_eq!(store.lease()["fencing"], 2, "given back by one, taken by the next");

    let mut server = store.command(home.path(), &["serve"]);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the server holds the lake", || store.lease()["fencing"] == 3);
    let second = self::home();
    let said = ["s3://desk/lake is held by deltadesk serve", "fencing number 3"];
    refused(&store.desk(second.path(), &["run", "reference"]), &said);

    // Somebody believes that the server is gone, and takes the lake: it writes nothing more.
    let mut taken = store.lease();
    taken["fencing"] = 4.into();
    taken["holder"]["process"] = "another desk".into();
    store.ask(&["put", LEASE], &taken.to_string());
    let mut said = String::new();
    let waited = Stopwatch::start();
    while server.try_wait().unwrap().is_none() {
        assert!(waited.elapsed_seconds() < 5.0 * BOUND, "the server serves on");
        wait(Duration::from_millis(100));
    }
    server.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!server.wait().unwrap().success());
    assert!(said.contains("is now written by another desk"), "{said}");
    assert_eq!(store.lease(), taken, "and does not give back what is not its own");
}
