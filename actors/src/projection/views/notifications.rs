//! What customers and operators are told, read from the views: onward from a position, by id, and as the rows that the
//! bridge's history shows.

use chrono::{DateTime, Utc};
use millrace_model::ids::{DepositId, Position};
use millrace_model::ledger::Ticker;
use millrace_model::notification::{About, HistoryRow, NotificationType, Pattern, ResourceType};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tokio::sync::watch;
use uuid::Uuid;

use super::{ViewError, Views};
use crate::projection::read_models::notifications::numbers;
use crate::projection::read_models::notifications::packed::{Columns, unpack};

/// Notifications on a page at most.
pub const NOTIFICATIONS_MAX: u32 = 500;
/// So many rows of the history can be left out before a page at most: each is looked at.
pub const OFFSET_MAX: u32 = 10_000;

/// A notification as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotification {
    /// The event that it comes from.
    pub position: Position,
    /// Its id: the same for the same fact.
    pub id: Uuid,
    /// As what it is told.
    pub kind: NotificationType,
    /// The deposit, if it is about one.
    pub deposit: Option<DepositId>,
    /// The address that is paid; nothing for a deposit that belongs to nobody, and for what is about no deposit.
    pub customer: Option<String>,
    /// The subscription, if it is about one.
    pub about: Option<About>,
    /// 1 for a deposit's first, without gaps.
    pub sequence: u32,
    /// When that was committed.
    pub recorded_at: DateTime<Utc>,
    /// What is signed and sent, to the byte.
    pub body: String,
    /// What it is about, in the bridge's shape, if that is a deposit.
    pub row: Option<HistoryRow>,
}

/// Whose notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Whose {
    /// All, those of the desk too.
    #[default]
    Everybodys,
    /// Those of the deposits that are paid out to this address.
    Customer(String),
    /// The same, or those of the deposits that came in on it: a customer's payout address or one of his deposit addresses.
    User(String),
}

/// Which notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// Whose.
    pub whose: Whose,
    /// What any of these means; without any, all.
    pub events: Vec<Pattern>,
    /// About this alone.
    pub resource: Option<ResourceType>,
    /// In this coin alone.
    pub coin: Option<Ticker>,
}

/// Notifications in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationPage {
    /// They.
    pub notifications: Vec<StoredNotification>,
    /// How far was looked: the last of them, or, when there are no more, the newest of all notifications. Nothing when nobody
    /// was ever told anything.
    pub reached: Option<(Position, Uuid)>,
}

/// A row of the bridge's history as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The newest that was told of it.
    pub newest: StoredNotification,
    /// Where its deposit stands: the word of [`millrace_model::deposit::StageName`].
    pub status: Option<String>,
    /// Height of the block that holds the deposit.
    pub height: Option<u64>,
    /// Whether the deposit is a block's reward.
    pub coinbase: bool,
    /// Whether it is decided how much is paid out for it.
    pub is_decided: bool,
}

/// Whose, as the table says it.
#[derive(Debug, Default)]
struct Scope {
    customer: Option<String>,
    address: Option<String>,
}

impl Views {
    /// Rings when there are more notifications, with the position of the newest; 0 without any. After a restart the same may
    /// ring again, and after the projection was made anew an older one may.
    pub fn newest_notification(&self) -> watch::Receiver<Position> {
        self.newest_notification.subscribe()
    }

    /// The notifications after a position, in the order of the log: at most `limit`, and never more than
    /// [`NOTIFICATIONS_MAX`].
    pub async fn notifications_after(
        &self,
        position: Position,
        limit: u32,
        filter: &NotificationFilter,
    ) -> Result<Vec<StoredNotification>, ViewError> {
        Ok(self.notification_page(position, limit, filter).await?.notifications)
    }

    /// The same, with how far was looked for them.
    pub async fn notification_page(
        &self,
        position: Position,
        limit: u32,
        filter: &NotificationFilter,
    ) -> Result<NotificationPage, ViewError> {
        let limit = limit.clamp(1, NOTIFICATIONS_MAX);
        // One read transaction: what is the newest of all was there when the others were looked for.
        let mut read = self.pool.begin().await?;
        let scope = Scope::of(&mut read, &filter.whose).await?;
        let rows = sqlx::query(scope.feed())
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(limit)
            .bind(scope.customer.as_deref())
            .bind(scope.address.as_deref())
            .bind(filter.kinds())
            .bind(scope.whose())
            .fetch_all(&mut *read)
            .await?;
        let notifications = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let is_full = notifications.len() == limit as usize;
        let reached = match notifications.last().filter(|_| is_full) {
            Some(last) => Some((last.position, last.id)),
            None => newest(&mut read).await?,
        };
        read.commit().await?;
        Ok(NotificationPage { notifications, reached })
    }

    /// A notification by its id.
    pub async fn notification(&self, id: Uuid) -> Result<Option<StoredNotification>, ViewError> {
        let sql = concat!("SELECT ", columns!("n"), " FROM notifications n WHERE n.id_high = ?1 AND n.id_low = ?2");
        let (high, low) = numbers::of_id(id);
        let found = sqlx::query(sql).bind(high).bind(low).fetch_optional(&self.pool).await?;
        found.as_ref().map(stored).transpose()
    }

    /// The notification of an event.
    pub async fn notification_at(&self, position: Position) -> Result<Option<StoredNotification>, ViewError> {
        let Ok(position) = i64::try_from(position) else { return Ok(None) };
        let sql = concat!("SELECT ", columns!("n"), " FROM notifications n WHERE n.position = ?1");
        let found = sqlx::query(sql).bind(position).fetch_optional(&self.pool).await?;
        found.as_ref().map(stored).transpose()
    }

    /// Deposits and withdrawals as they stand, the newest first: at most `limit`, and never more than [`NOTIFICATIONS_MAX`],
    /// after the first `offset`, which is at most [`OFFSET_MAX`].
    pub async fn history(
        &self,
        filter: &NotificationFilter,
        (offset, limit): (u32, u32),
    ) -> Result<Vec<HistoryEntry>, ViewError> {
        let mut read = self.pool.begin().await?;
        let scope = Scope::of(&mut read, &filter.whose).await?;
        let rows = sqlx::query(scope.history())
            .bind(offset.min(OFFSET_MAX))
            .bind(limit.clamp(1, NOTIFICATIONS_MAX))
            .bind(scope.customer.as_deref())
            .bind(scope.address.as_deref())
            .bind(filter.kinds())
            .bind(scope.whose())
            .fetch_all(&mut *read)
            .await?;
        read.commit().await?;
        rows.iter().map(entry).collect()
    }
}

impl NotificationFilter {
    /// The names of the types that are meant, as JSON; nothing for all.
    fn kinds(&self) -> Option<String> {
        let meant = NotificationType::ALL.into_iter().filter(|kind| self.means(*kind)).map(NotificationType::name);
        let names: Vec<_> = meant.collect();
        (names.len() < NotificationType::ALL.len()).then(|| serde_json::json!(names).to_string())
    }

    fn means(&self, kind: NotificationType) -> bool {
        let resource = kind.resource();
        let is_of_events = self.events.is_empty() || self.events.iter().any(|pattern| pattern.matches(kind));
        is_of_events
            && self.resource.is_none_or(|wanted| wanted == resource)
            && self.coin.is_none_or(|wanted| resource.coin() == Some(wanted))
    }
}

/// The columns of [`StoredNotification`].
macro_rules! columns {
    ($of:literal) => {
        concat!(
            $of,
            ".position, ",
            $of,
            ".id_high, ",
            $of,
            ".kind, ",
            $of,
            ".customer, ",
            $of,
            ".sequence, ",
            $of,
            ".packed, ",
            $of,
            ".address, ",
            $of,
            ".id_low"
        )
    };
}
use columns;

/// The query for a feed.
macro_rules! feed {
    ($whose:literal) => {
        concat!(
            "SELECT ",
            columns!("n"),
            " FROM notifications n WHERE n.position > ?1 AND ",
            $whose,
            " AND (?5 IS NULL OR n.kind IN (SELECT value FROM json_each(?5))) ORDER BY n.position LIMIT ?2"
        )
    };
}

/// The query for the rows of a history: where each began, and the newest of it.
macro_rules! history {
    ($whose:literal) => {
        concat!(
            "SELECT ",
            columns!("l"),
            ", d.status, d.body ->> 'height', d.body ->> 'coinbase', d.body ->> 'payout' IS NOT NULL
             FROM notifications n
             JOIN notifications l ON l.position = (SELECT max(position) FROM notifications WHERE row = n.position)
             LEFT JOIN deposits d ON d.seq = n.deposit
             WHERE n.row = n.position AND ",
            $whose,
            " AND (?5 IS NULL OR l.kind IN (SELECT value FROM json_each(?5)))
             ORDER BY n.position DESC LIMIT ?2 OFFSET ?1"
        )
    };
}

impl Scope {
    async fn of(read: &mut SqliteConnection, whose: &Whose) -> Result<Self, ViewError> {
        let user = match whose {
            Whose::Everybodys => return Ok(Self::default()),
            Whose::Customer(customer) => return Ok(Self { customer: Some(customer.clone()), address: None }),
            Whose::User(user) => user,
        };
        if let Some(target) = whom_it_belongs_to(read, user).await? {
            return Ok(Self { customer: Some(target), address: Some(user.clone()) });
        }
        let sql = "SELECT 1 FROM notifications n WHERE n.whose = ?2 AND n.customer IS NULL AND n.address = ?1 LIMIT 1";
        let is_nobodys = !sqlx::query(sql).bind(user).bind(numbers::of_text(user)).fetch_all(read).await?.is_empty();
        Ok(match is_nobodys {
            true => Self { customer: None, address: Some(user.clone()) },
            false => Self { customer: Some(user.clone()), address: None },
        })
    }

    /// The number by which the table finds them.
    fn whose(&self) -> Option<i64> {
        self.customer.as_deref().or(self.address.as_deref()).map(numbers::of_text)
    }

    fn feed(&self) -> &'static str {
        match (&self.customer, &self.address) {
            (None, None) => feed!("?3 IS NULL AND ?4 IS NULL AND ?6 IS NULL"),
            (Some(_), None) => feed!("n.whose = ?6 AND n.customer = ?3 AND ?4 IS NULL"),
            (Some(_), Some(_)) => feed!("n.whose = ?6 AND n.customer = ?3 AND n.address = ?4"),
            (None, Some(_)) => feed!("n.whose = ?6 AND n.customer IS NULL AND ?3 IS NULL AND n.address = ?4"),
        }
    }

    fn history(&self) -> &'static str {
        match (&self.customer, &self.address) {
            (None, None) => history!("?3 IS NULL AND ?4 IS NULL AND ?6 IS NULL"),
            (Some(_), None) => history!("n.whose = ?6 AND n.customer = ?3 AND ?4 IS NULL"),
            (Some(_), Some(_)) => history!("n.whose = ?6 AND n.customer = ?3 AND n.address = ?4"),
            (None, Some(_)) => history!("n.whose = ?6 AND n.customer IS NULL AND ?3 IS NULL AND n.address = ?4"),
        }
    }
}

/// The payout address that a deposit address is bound to.
async fn whom_it_belongs_to(read: &mut SqliteConnection, address: &str) -> Result<Option<String>, ViewError> {
    let found =
        sqlx::query("SELECT target FROM bindings WHERE address = ?1").bind(address).fetch_optional(read).await?;
    Ok(found.map(|row| row.get(0)))
}

async fn newest(read: &mut SqliteConnection) -> Result<Option<(Position, Uuid)>, ViewError> {
    let sql = concat!("SELECT ", columns!("n"), " FROM notifications n ORDER BY n.position DESC LIMIT 1");
    let newest = sqlx::query(sql).fetch_optional(read).await?;
    Ok(newest.as_ref().map(stored).transpose()?.map(|newest| (newest.position, newest.id)))
}

fn stored(row: &SqliteRow) -> Result<StoredNotification, ViewError> {
    let (id, kind): ((i64, i64), String) = ((row.get(1), row.get(7)), row.get(2));
    let no_sense = |of: &str, text: &str| ViewError::Notification { of: of.to_owned(), text: text.to_owned() };
    let columns = Columns {
        position: row.get::<i64, _>(0) as Position,
        id: numbers::id(id),
        kind: NotificationType::parse(&kind).ok_or_else(|| no_sense("a type", &kind))?,
        customer: row.get(3),
        sequence: row.get(4),
        address: row.get(6),
    };
    let packed: Vec<u8> = row.get(5);
    let told = unpack(columns, &packed).ok_or_else(|| no_sense("what is packed", &format!("{packed:02x?}")))?;
    Ok(StoredNotification {
        position: told.position,
        id: told.id,
        kind: told.kind,
        deposit: told.deposit,
        sequence: told.sequence,
        recorded_at: told.recorded_at,
        body: told.body(),
        row: told.row().cloned(),
        about: told.about_subscription(),
        customer: told.customer,
    })
}

fn entry(row: &SqliteRow) -> Result<HistoryEntry, ViewError> {
    Ok(HistoryEntry {
        newest: stored(row)?,
        status: row.get(8),
        height: row.get::<Option<i64>, _>(9).map(|height| height as u64),
        coinbase: row.get::<Option<bool>, _>(10).unwrap_or(false),
        is_decided: row.get::<Option<bool>, _>(11).unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::projection::catalog::Projection;
    use crate::projection::database::{self, Database, Place};

    /// How SQLite goes about it, a line a table.
    fn plan(database: &Database, sql: &str) -> Vec<String> {
        let mut statement = database.connection().prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let bound = params![0, 10, None::<String>, None::<String>, None::<String>, None::<i64>];
        let lines = statement.query_map(bound, |row| row.get(3)).unwrap();
        lines.map(Result::unwrap).collect()
    }

    /// A page costs what is on it, whoever asks and however much there is of others.
    #[test]
    fn every_query_walks_an_index_in_its_order() {
        let mut database = Database::scratch().unwrap();
        database
            .write(|transaction| {
                [Projection::Notifications, Projection::Deposits, Projection::Addresses].into_iter().try_for_each(
                    |of| {
                        database::create(transaction, of, Place::Live)?;
                        database::index(transaction, of, Place::Live, 1)
                    },
                )
            })
            .unwrap();
        let text = || Some(String::new());
        let scope = |customer, address| Scope { customer, address };
        for (scope, expected) in [
            (scope(None, None), "INTEGER PRIMARY KEY (rowid>?)"),
            (scope(text(), None), "notifications_whose_g1 (whose=? AND rowid>?)"),
            (scope(text(), text()), "notifications_whose_g1 (whose=? AND rowid>?)"),
            (scope(None, text()), "notifications_whose_g1 (whose=? AND rowid>?)"),
        ] {
            let plan = plan(&database, scope.feed());
            assert!(plan[0].starts_with("SEARCH n USING") && plan[0].ends_with(expected), "{plan:?}");
            assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:?}");
        }
        for (scope, expected) in [
            (scope(None, None), "SCAN n"),
            (scope(text(), None), "SEARCH n USING INDEX notifications_whose_g1 (whose=?)"),
            (scope(text(), text()), "SEARCH n USING INDEX notifications_whose_g1 (whose=?)"),
            (scope(None, text()), "SEARCH n USING INDEX notifications_whose_g1 (whose=?)"),
        ] {
            let plan = plan(&database, scope.history());
            assert_eq!(plan[0], expected, "{plan:?}");
            let newest = "SEARCH notifications USING COVERING INDEX notifications_row_g1 (row=?)";
            assert!(plan.iter().any(|line| line == newest), "{plan:?}");
            assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
