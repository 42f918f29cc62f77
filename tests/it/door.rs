//! `deltadesk sql --listen` as PostgreSQL clients meet it.

#![cfg(test)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use deltadesk::lake::{Batch, Durability, Lake, LakeOptions, RowBuilder, TableSpec};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::demo::{copy, undisturbed};
use super::homes::{ask, binary, desk, refused};
use super::same_world::python;

const PASSWORD: &str = "a password of the test";

fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    copy(&undisturbed().home, home.path());
    home
}

fn keep_password(home: &Path, password: &str, mode: u32) {
    let file = home.join("sql_password");
    std::fs::write(&file, password).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_door_stays_shut_where_it_would_not_be_safe() {
    let home = home();
    let open = |address| desk(home.path(), &["sql", "--listen", address]);
    refused(&open("0.0.0.0:0"), &["can be reached from other machines", "ssh -L"]);
    refused(&open("127.0.0.1:0"), &["there is no ", "sql_password", "openssl rand"]);
    keep_password(home.path(), PASSWORD, 0o644);
    refused(&open("127.0.0.1:0"), &["others can read", "chmod 600"]);
    keep_password(home.path(), "short\n", 0o600);
    refused(&open("127.0.0.1:0"), &["fewer than 12 characters"]);
}

/// Ends a process that would serve for ever.
struct Open(Child);

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn open(home: &Path) -> (Open, String) {
    let home = home.display().to_string();
    let mut child = binary(&["sql", "--listen", "127.0.0.1:0", "--home", &home])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    while !said.contains("/datafusion") {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let port = said.split("127.0.0.1:").nth(1).unwrap().split('/').next().unwrap().to_owned();
    (Open(child), port)
}

/// Adds a row to ops.table_health, as another process.
fn add_row(home: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let spec = TableSpec::from_ddl(include_str!("../../sql/ops/table_health.sql")).unwrap();
    runtime.block_on(async {
        let options = LakeOptions::local(Durability::Buffered);
        let lake = Lake::open(&home.join("lake"), options).await.unwrap();
        lake.create(&spec).await.unwrap();
        let number =
            lake.commits(spec.name()).await.unwrap().last().map_or(1, |last| last.batch + 1);
        let as_of = "2026-03-04T15:00:00Z".parse().unwrap();
        let batch =
            Batch { number, as_of, run_id: "by-hand".to_owned(), source_versions: json!({}) };
        let mut builder = RowBuilder::new(&spec);
        let cells = [
            ("table_name", "made.up".into()),
            ("wall_version", 1_i64.into()),
            ("wall_files", 1_i64.into()),
            ("wall_bytes", 1_i64.into()),
            ("row_count", 1_i64.into()),
            ("as_of", as_of.into()),
            ("run_id", "by-hand".into()),
            ("session_date", as_of.date_naive().into()),
        ];
        builder.push(cells).unwrap();
        lake.append(&spec, &batch, vec![builder.finish().unwrap()]).await.unwrap();
    });
}

#[test]
fn clients_of_two_makes_read_what_is_new_and_change_nothing() {
    let Some(python) = python() else { return };
    let home = home();
    keep_password(home.path(), PASSWORD, 0o600);
    add_row(home.path());
    let (_open, port) = open(home.path());
    let outside = home.path().join("copied.csv");
    let mut client = start_client(&python, &port, &outside);
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut heard = |name: &str| -> Value {
        let line = lines.next().unwrap_or_else(|| panic!("nothing more before {name}")).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        said.get(name).cloned().unwrap_or_else(|| panic!("{said} instead of {name}"))
    };
    let counted = ask(
        home.path(),
        "select symbol, count(*) from silver.underlying_quotes group by 1 order by 1",
    );
    let counted: Vec<Value> = counted
        .lines()
        .map(|line| line.split_once(',').unwrap())
        .map(|(symbol, rows)| json!([symbol, rows.parse::<i64>().unwrap()]))
        .collect();
    assert_eq!(heard("simple"), Value::from(counted.clone()));
    assert_eq!(heard("catalogue"), json!([["signals"]]));
    denied(&heard("simple forbidden"));
    let spy: Vec<Value> = counted.into_iter().filter(|row| row[0] == "SPY").collect();
    assert_eq!(heard("extended"), Value::from(spy));
    denied(&heard("extended forbidden"));
    let password = heard("password").as_str().unwrap().to_owned();
    assert!(password.contains("authentication failed"), "{password}");

    assert_eq!(heard("before"), json!(1));
    add_row(home.path());
    writeln!(client.stdin.take().unwrap(), "go on").unwrap();
    assert_eq!(heard("after"), json!(2));
    assert!(client.wait().unwrap().success());
    assert!(!outside.exists());
}

fn start_client(python: &Path, port: &str, outside: &Path) -> Child {
    Command::new(python)
        .args(["tests/clients/reads.py", port, PASSWORD])
        .arg(outside)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Each statement was refused, with PostgreSQL's code for what a reader may not do.
fn denied(heard: &Value) {
    let heard = heard.as_object().unwrap();
    assert_eq!(heard.len(), 7);
    for (statement, answer) in heard {
        // PostgreSQL's parser knows no external tables.
        let code = if statement.starts_with("create external") { "XX000" } else { "25006" };
        assert_eq!(answer, code, "{statement}");
    }
}
