//! `deltadesk sql --listen`: the lake for PostgreSQL clients, read only.
//!
//! A process of its own beside the server: no query of a guest can starve or end the desk. It
//! listens on loopback alone, asks for a password (SCRAM-SHA-256), takes statements that only read,
//! and bounds what its queries hold together.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::{
    context::EmptyContextProvider, setup_pg_catalog,
};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{
    ScramAuth, gen_salted_password, random_nonce,
};
use datafusion_postgres::pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password, StartupHandler,
};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::{ClientInfo, PgWireServerHandlers};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::tokio::process_socket;
use datafusion_postgres::{DfSessionService, QueryHook};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cli::tell;
use crate::desk::home::Home;
use crate::desk::lake_place::open_to_read;
use crate::lake::SessionContext;
use crate::lake::datafusion::common::ParamValues;
use crate::lake::datafusion::logical_expr::LogicalPlan;
use crate::lake::datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement};

use super::runtime;

/// What all queries together may hold, bytes.
const MEMORY: usize = 1 << 30;
/// Connections at a time.
const GUESTS_MAX: usize = 16;
/// Rounds of the password's hash: what PostgreSQL itself takes.
const ITERATIONS: usize = 4_096;
/// The file with the password, in the home.
const PASSWORD_FILE: &str = "sql_password";

/// Answers clients until the process is ended.
pub fn run(home: &Home, address: SocketAddr) -> anyhow::Result<()> {
    ensure!(
        address.ip().is_loopback(),
        "{address} can be reached from other machines, and the password alone would guard the \
         desk's books; listen on 127.0.0.1 and use an SSH tunnel (ssh -L)"
    );
    let password = password(&home.root().join(PASSWORD_FILE))?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let lake = open_to_read(home).await?;
        let session = lake.fresh_session(MEMORY).await?;
        setup_pg_catalog(&session, "datafusion", EmptyContextProvider).map_err(|error| {
            anyhow::anyhow!("the catalogue for clients cannot be made: {error}")
        })?;
        let tables = lake.tables().len();
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("{address} cannot be listened on; choose another port"))?;
        let address = listener.local_addr()?;
        tell(&format!(
            "{tables} tables, read only, for PostgreSQL clients:\n  psql \
             'postgresql://deltadesk@{}:{}/datafusion'   (the password is in {PASSWORD_FILE})",
            address.ip(),
            address.port()
        ));
        let door = Arc::new(Door::new(session, &password));
        serve(&listener, &door).await
    })
}

async fn serve(listener: &TcpListener, door: &Arc<Door>) -> anyhow::Result<()> {
    let mut guests = JoinSet::new();
    loop {
        let (socket, from) = listener.accept().await.context("no more connections are taken")?;
        while guests.try_join_next().is_some() {}
        if guests.len() >= GUESTS_MAX {
            tracing::error!("a connection from {from} is refused: {GUESTS_MAX} are open");
            continue;
        }
        let door = Arc::clone(door);
        guests.spawn(async move {
            if let Err(error) = process_socket(socket, None, door).await {
                tracing::info!("the connection from {from} broke: {error}");
            }
        });
    }
}

/// The password of the file, which nobody else on the machine may read.
fn password(path: &Path) -> anyhow::Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let Ok(data) = std::fs::metadata(path) else {
        bail!(
            "there is no {shown}; make one that only you can read:\n  \
             (umask 077; openssl rand -base64 24 > '{shown}')"
        );
    };
    let mode = data.permissions().mode() & 0o777;
    let others = mode & 0o077;
    ensure!(others == 0, "others can read {shown} (mode {mode:o}); chmod 600 '{shown}'");
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let password = text.trim();
    ensure!(
        password.chars().count() >= 12,
        "the password in {shown} has fewer than 12 characters; openssl rand -base64 24 makes one"
    );
    Ok(password.to_owned())
}

/// What each connection is given.
struct Door {
    service: Arc<DfSessionService>,
    secret: Arc<Secret>,
}

impl Door {
    fn new(session: SessionContext, password: &str) -> Self {
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(ReadsOnly),
            Arc::new(CursorStatementHook),
            Arc::new(SetShowHook),
            Arc::new(TransactionStatementHook),
        ];
        let service = Arc::new(DfSessionService::new_with_hooks(Arc::new(session), hooks));
        let salt = random_nonce().into_bytes();
        let hashed = gen_salted_password(password, &salt, ITERATIONS);
        Self { service, secret: Arc::new(Secret { salt, hashed }) }
    }
}

impl PgWireServerHandlers for Door {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.service)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.service)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        let mut scram = ScramAuth::new(Arc::clone(&self.secret) as _);
        scram.set_iterations(ITERATIONS);
        let parameters = Arc::new(DefaultServerParameterProvider::default());
        Arc::new(SASLAuthStartupHandler::new(parameters).with_scram(scram))
    }
}

/// The password as the server keeps it: any user may come, with this one.
struct Secret {
    salt: Vec<u8>,
    hashed: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret")
    }
}

#[async_trait]
impl AuthSource for Secret {
    async fn get_password(&self, _login: &LoginInfo) -> PgWireResult<Password> {
        Ok(Password::new(Some(self.salt.clone()), self.hashed.clone()))
    }
}

/// Lets through what reads.
struct ReadsOnly;

impl ReadsOnly {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not known to read is refused")]
    fn judge(statement: &Statement) -> Option<PgWireError> {
        let reads = |query: &Query| {
            matches!(
                *query.body,
                SetExpr::Select(_)
                    | SetExpr::Query(_)
                    | SetExpr::SetOperation { .. }
                    | SetExpr::Values(_)
            )
        };
        match statement {
            Statement::Query(query) if reads(query) => None,
            Statement::Explain { .. }
            | Statement::ExplainTable { .. }
            | Statement::Set(_)
            | Statement::ShowVariable { .. }
            | Statement::ShowVariables { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowFunctions { .. }
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Declare { .. }
            | Statement::Fetch { .. }
            | Statement::Close { .. }
            | Statement::Discard { .. } => None,
            _ => Some(PgWireError::UserError(Box::new(ErrorInfo::new(
                "ERROR".to_owned(),
                READ_ONLY.to_owned(),
                "this door is read only; what changes the lake is done by the desk".to_owned(),
            )))),
        }
    }
}

/// PostgreSQL's code for what a read-only transaction may not do.
const READ_ONLY: &str = "25006";

#[async_trait]
impl QueryHook for ReadsOnly {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        Self::judge(statement).map(Err)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _session: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        Self::judge(statement).map(Err)
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _plan: &LogicalPlan,
        _parameters: &ParamValues,
        _session: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        Self::judge(statement).map(Err)
    }
}
