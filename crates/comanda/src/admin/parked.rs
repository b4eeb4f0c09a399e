//! Parked messages, for operators.

use super::to_wire;
use outbox::{By, Payload, Selection};
use proto::comanda::admin::v1 as wire;
use proto::time::Instant;
use proto::{Violation, Violations};
use store::Store;
use tonic::Status;
use tracing::info;

/// Rows of a page when the request does not say, and at most with payloads: 100 x 1 MiB is what one answer may hold.
const PAGE: i32 = 100;
/// Rows of a page at most.
const PAGE_MAX: i32 = 1_000;
/// Messages of a dry run at most.
const LISTED_MAX: i64 = 1_000;

/// Lists some.
pub(crate) async fn list(store: &Store, request: &wire::ListParkedRequest) -> Result<wire::ListParkedResponse, Status> {
    let selection = selection(request.selection.as_ref())?;
    let (payload, most) = if request.include_payload { (Payload::Shown, PAGE) } else { (Payload::Hidden, PAGE_MAX) };
    let limit = page_size(request.page_size)?.min(most);
    let listed = outbox::list_parked(store, &selection, payload, request.after, limit.into()).await;
    let listed = listed.map_err(|error| to_wire::failed("list what is parked", &error))?;
    Ok(wire::ListParkedResponse { messages: listed.into_iter().map(to_wire::parked).collect() })
}

/// Has some handled again.
pub(crate) async fn redrive(
    store: &Store,
    request: wire::RedriveParkedRequest,
) -> Result<wire::RedriveParkedResponse, Status> {
    let selection = chosen(request.selection.as_ref(), request.all)?;
    if request.dry_run {
        let listed = outbox::would_redrive(store, &selection, LISTED_MAX).await;
        let listed = listed.map_err(|error| to_wire::failed("list what would be redriven", &error))?;
        let would_redrive = listed.into_iter().map(to_wire::parked).collect();
        return Ok(wire::RedriveParkedResponse { actions: Vec::new(), would_redrive });
    }
    let per_second = u32::try_from(request.per_second)
        .map_err(|_negative| Violation::new("per_second", "must be 0 or more; 0 means no limit"))?;
    let by = by(request.who, request.reason)?;
    let begun = outbox::redrive(store, &selection, &by, per_second).await;
    let begun = begun.map_err(|error| to_wire::failed("redrive", &error))?;
    info!(service = request.service, requests = begun.len(), who = by.who, "redrive asked for by an operator");
    let actions = begun.into_iter().map(to_wire::action).collect();
    Ok(wire::RedriveParkedResponse { actions, would_redrive: Vec::new() })
}

/// Deletes some.
pub(crate) async fn discard(
    store: &Store,
    request: wire::DiscardParkedRequest,
) -> Result<wire::DiscardParkedResponse, Status> {
    let selection = chosen(request.selection.as_ref(), request.all)?;
    if request.dry_run {
        let listed = outbox::would_discard(store, &selection, LISTED_MAX).await;
        let listed = listed.map_err(|error| to_wire::failed("list what would be discarded", &error))?;
        let would_discard = listed.into_iter().map(to_wire::parked).collect();
        return Ok(wire::DiscardParkedResponse { actions: Vec::new(), would_discard });
    }
    if request.reason.is_empty() {
        return Err(Violation::required("reason").into());
    }
    let by = by(request.who, request.reason)?;
    let done = outbox::discard(store, &selection, &by).await.map_err(|error| to_wire::failed("discard", &error))?;
    info!(service = request.service, requests = done.len(), who = by.who, "parked messages discarded by an operator");
    let actions = done.into_iter().map(to_wire::action).collect();
    Ok(wire::DiscardParkedResponse { actions, would_discard: Vec::new() })
}

/// Lists what was done.
pub(crate) async fn actions(
    store: &Store,
    request: &wire::ListParkedActionsRequest,
) -> Result<wire::ListParkedActionsResponse, Status> {
    let limit = page_size(request.page_size)?;
    let actions = outbox::actions(store, limit.into()).await;
    let actions = actions.map_err(|error| to_wire::failed("list what was done", &error))?;
    Ok(wire::ListParkedActionsResponse { actions: actions.into_iter().map(to_wire::action).collect() })
}

fn page_size(asked: i32) -> Result<i32, Violation> {
    match asked {
        0 => Ok(PAGE),
        1..=PAGE_MAX => Ok(asked),
        _ => Err(Violation::new("page_size", "must be 1 to 1000, or 0 for 100")),
    }
}

fn by(who: String, why: String) -> Result<By, Violation> {
    if who.is_empty() { Err(Violation::required("who")) } else { Ok(By { who, why }) }
}

/// A selection for something that cannot be taken back by asking again.
fn chosen(asked: Option<&wire::ParkedSelection>, all: bool) -> Result<Selection, Status> {
    let selection = selection(asked)?;
    if selection == Selection::default() && !all {
        return Err(Violation::new("selection", "must name something, or `all` must be true").into());
    }
    Ok(selection)
}

fn selection(asked: Option<&wire::ParkedSelection>) -> Result<Selection, Violations> {
    let Some(asked) = asked else { return Ok(Selection::default()) };
    let mut violations = Violations::new();
    let since = violations.take(Instant::parse("selection.since", asked.since.as_ref())).flatten();
    let before = violations.take(Instant::parse("selection.before", asked.before.as_ref())).flatten();
    if asked.number < 0 {
        violations.push(Violation::new("selection.number", "must be 1 or more, or 0 for any"));
    }
    let texts = [&asked.consumer, &asked.key, &asked.kind, &asked.why];
    if texts.iter().any(|text| text.contains('\0')) {
        violations.push(Violation::new("selection", "must not contain the character NUL"));
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Ok(Selection {
        number: Some(asked.number).filter(|number| *number != 0),
        consumer: given(&asked.consumer),
        key: given(&asked.key),
        kind: given(&asked.kind),
        why: given(&asked.why),
        since_us: since.map(|at| at.0),
        before_us: before.map(|at| at.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_chosen_only_when_that_is_said() {
        assert!(chosen(None, false).is_err());
        assert!(chosen(Some(&wire::ParkedSelection::default()), false).is_err());
        assert_eq!(chosen(None, true).unwrap(), Selection::default());
        let one = wire::ParkedSelection { number: 7, ..wire::ParkedSelection::default() };
        assert_eq!(chosen(Some(&one), false).unwrap(), Selection { number: Some(7), ..Selection::default() });
    }

    #[test]
    fn a_selection_that_makes_no_sense_is_refused_with_its_field() {
        let bad = wire::ParkedSelection { number: -1, why: "a\0b".to_owned(), ..wire::ParkedSelection::default() };

        let fields: Vec<String> = selection(Some(&bad)).unwrap_err().iter().map(|it| it.field.clone()).collect();

        assert_eq!(fields, ["selection.number", "selection"]);
    }
}
