//! A ticket's life: created once for an order, and called off for ever.

use super::{MenuItemId, Text};
use proto::time::Instant;
use proto::{OrderId, RestaurantId, TicketId};

/// What became of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TicketState {
    /// To be cooked.
    Created,
    /// Called off, perhaps before it was created.
    Cancelled,
}

/// One line of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TicketLine {
    pub(crate) menu_item_id: MenuItemId,
    /// As it was called when it was ordered.
    pub(crate) name: Text<0, 200>,
    /// 1 to 999.
    pub(crate) quantity: i32,
}

/// What a kitchen has to cook for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) order_id: OrderId,
    pub(crate) restaurant_id: RestaurantId,
    pub(crate) state: TicketState,
    /// Empty when it was called off before it was created.
    pub(crate) lines: Vec<TicketLine>,
    pub(crate) create_time: Instant,
    pub(crate) update_time: Instant,
}

impl Ticket {
    /// A ticket that was not there before.
    pub(crate) fn new(order_id: OrderId, restaurant_id: RestaurantId, lines: Vec<TicketLine>, now: Instant) -> Self {
        let (id, state) = (TicketId::generate(), TicketState::Created);
        Ticket { id, order_id, restaurant_id, state, lines, create_time: now, update_time: now }
    }

    /// A ticket that is called off before it was there.
    pub(crate) fn tombstone(order_id: OrderId, restaurant_id: RestaurantId, now: Instant) -> Self {
        Ticket { state: TicketState::Cancelled, ..Ticket::new(order_id, restaurant_id, Vec::new(), now) }
    }

    /// The ticket after it was called off.
    pub(crate) fn cancelled(&self, now: Instant) -> Self {
        Ticket { state: TicketState::Cancelled, update_time: now, ..self.clone() }
    }
}

/// What a wish for a ticket leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Creation {
    /// This ticket is to be written.
    Create(Ticket),
    /// The order has one.
    Exists(TicketId),
    /// It was called off before.
    CalledOff,
    /// There is nobody to cook.
    RestaurantUnknown,
}

/// What the order asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) order_id: OrderId,
    pub(crate) lines: Vec<TicketLine>,
}

/// What a wish for a ticket leads to, given the order's ticket, if any, and who is to cook, if there is such a restaurant. A ticket that is
/// there counts more than who is to cook it.
pub(crate) fn create(wish: Wish, existing: Option<&Ticket>, cook: Option<RestaurantId>, now: Instant) -> Creation {
    match (existing.map(|ticket| (ticket.state, ticket.id)), cook) {
        (Some((TicketState::Created, id)), _) => Creation::Exists(id),
        (Some((TicketState::Cancelled, _)), _) => Creation::CalledOff,
        (None, Some(cook)) => Creation::Create(Ticket::new(wish.order_id, cook, wish.lines, now)),
        (None, None) => Creation::RestaurantUnknown,
    }
}

/// What calling off a ticket leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cancellation {
    /// The ticket becomes this one.
    CallOff(Ticket),
    /// There is none; this one is written so that there shall be none.
    Bury(Ticket),
    /// That was done before, or nobody could ever cook.
    Nothing,
}

/// What calling off the order's ticket leads to. Without a restaurant, its id is one that none can have, and a ticket would be refused
/// anyway.
pub(crate) fn cancel(
    order_id: OrderId,
    existing: Option<&Ticket>,
    restaurant_id: Option<RestaurantId>,
    now: Instant,
) -> Cancellation {
    match (existing, restaurant_id) {
        (Some(ticket), _) => match ticket.state {
            TicketState::Created => Cancellation::CallOff(ticket.cancelled(now)),
            TicketState::Cancelled => Cancellation::Nothing,
        },
        (None, Some(restaurant_id)) => Cancellation::Bury(Ticket::tombstone(order_id, restaurant_id, now)),
        (None, None) => Cancellation::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket::new(OrderId::generate(), RestaurantId::generate(), Vec::new(), Instant(0))
    }

    fn wish(order_id: OrderId) -> Wish {
        let name = Text::parse("name", "Margherita").unwrap();
        let line = TicketLine { menu_item_id: MenuItemId::parse("id", "m").unwrap(), name, quantity: 2 };
        Wish { order_id, lines: vec![line] }
    }

    #[test]
    fn an_order_without_a_ticket_gets_one() {
        let (order_id, cook) = (OrderId::generate(), RestaurantId::generate());

        let Creation::Create(ticket) = create(wish(order_id), None, Some(cook), Instant(7)) else {
            panic!("no ticket")
        };

        assert_eq!((ticket.order_id, ticket.restaurant_id), (order_id, cook));
        assert_eq!((ticket.state, ticket.create_time), (TicketState::Created, Instant(7)));
        assert_eq!(ticket.lines, wish(order_id).lines);
    }

    #[test]
    fn an_order_with_a_ticket_keeps_it_whoever_is_to_cook() {
        let created = ticket();

        for cook in [Some(RestaurantId::generate()), None] {
            let creation = create(wish(created.order_id), Some(&created), cook, Instant(1));
            assert_eq!(creation, Creation::Exists(created.id));
        }
    }

    #[test]
    fn a_ticket_that_was_called_off_stays_so() {
        let cancelled = ticket().cancelled(Instant(1));
        let (order_id, cook) = (cancelled.order_id, Some(cancelled.restaurant_id));

        assert_eq!(create(wish(order_id), Some(&cancelled), cook, Instant(2)), Creation::CalledOff);
        assert_eq!(cancel(order_id, Some(&cancelled), cook, Instant(2)), Cancellation::Nothing);
    }

    #[test]
    fn nobody_cooks_in_a_restaurant_that_is_not_there() {
        let order_id = OrderId::generate();

        assert_eq!(create(wish(order_id), None, None, Instant(0)), Creation::RestaurantUnknown);
        assert_eq!(cancel(order_id, None, None, Instant(0)), Cancellation::Nothing);
    }

    #[test]
    fn a_ticket_that_is_called_off_keeps_its_lines_and_one_that_never_was_has_none() {
        let created = ticket();

        let off = cancel(created.order_id, Some(&created), None, Instant(5));
        let buried = cancel(created.order_id, None, Some(created.restaurant_id), Instant(5));

        let expected = Ticket { state: TicketState::Cancelled, update_time: Instant(5), ..created };
        assert_eq!(off, Cancellation::CallOff(expected));
        let Cancellation::Bury(tombstone) = buried else { panic!("no tombstone") };
        assert_eq!((tombstone.state, tombstone.lines), (TicketState::Cancelled, Vec::new()));
    }
}
