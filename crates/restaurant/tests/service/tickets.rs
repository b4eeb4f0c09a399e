//! Tickets: created once for an order, called off for ever.

use crate::grpc::{item, trattoria};
use crate::house::{House, again, command, on_every_store};
use messaging::Message;
use proto::comanda::messages::v1::{CancelTicket, CreateTicket, TicketCancelled, TicketCreated, TicketRejected};
use proto::comanda::order::v1::rejection::reason::Code;
use proto::comanda::restaurant::v1::ticket::State;
use proto::comanda::restaurant::v1::{GetTicketRequest, ListTicketsRequest, Ticket, TicketLine};
use proto::{OrderId, RestaurantId};
use store::{Change, Statement};
use tonic::Code as Status;
use tonic_types::StatusExt;

fn lines() -> Vec<TicketLine> {
    vec![TicketLine { menu_item_id: "a".to_owned(), name: "Dish a".to_owned(), quantity: 2 }]
}

fn create(order_id: &str, restaurant_id: &str) -> Message {
    let (order, restaurant_id) = (order_id.to_owned(), restaurant_id.to_owned());
    command(order_id, &CreateTicket { order_id: order, restaurant_id, lines: lines() })
}

fn cancel(order_id: &str, restaurant_id: &str) -> Message {
    command(order_id, &CancelTicket { order_id: order_id.to_owned(), restaurant_id: restaurant_id.to_owned() })
}

fn order_id() -> String {
    OrderId::generate().to_string()
}

impl House {
    async fn restaurant(&mut self) -> String {
        self.create(trattoria(vec![item("a", 9)])).await.restaurant_id
    }

    async fn tickets(&mut self, restaurant_id: &str) -> Vec<Ticket> {
        let request = ListTicketsRequest { restaurant_id: restaurant_id.to_owned(), ..ListTicketsRequest::default() };
        self.client.list_tickets(request).await.unwrap().into_inner().tickets
    }

    async fn rejected(&mut self, command: &Message) -> Vec<Code> {
        let rejected: TicketRejected = self.ask(command).await;
        rejected.reasons.iter().map(proto::comanda::order::v1::rejection::Reason::code).collect()
    }
}

on_every_store! {
    a_ticket_is_created_with_what_to_cook,
    a_command_that_comes_again_creates_no_second_ticket,
    a_forgotten_reply_does_no_harm,
    a_ticket_that_is_called_off_stays_so,
    a_ticket_can_be_called_off_before_it_was_created,
    of_a_ticket_and_its_cancellation_under_different_keys_either_may_win_and_nothing_is_cooked,
    nobody_cooks_in_a_restaurant_that_is_not_there,
    tickets_are_listed_newest_first_and_belong_to_one_restaurant,
    an_audit_tells_every_ticket,
    commands_wait_for_a_service_that_is_away,
}

async fn a_ticket_is_created_with_what_to_cook(mut house: House) {
    let (restaurant_id, order_id) = (house.restaurant().await, order_id());

    let created: TicketCreated = house.ask(&create(&order_id, &restaurant_id)).await;

    assert_eq!(created.order_id, order_id);
    let request = GetTicketRequest { restaurant_id: restaurant_id.clone(), ticket_id: created.ticket_id.clone() };
    let ticket = house.client.get_ticket(request).await.unwrap().into_inner();
    assert_eq!((ticket.ticket_id.clone(), ticket.restaurant_id.clone()), (created.ticket_id, restaurant_id.clone()));
    assert_eq!((ticket.order_id.clone(), ticket.state(), ticket.lines.clone()), (order_id, State::Created, lines()));
    assert!(ticket.create_time.is_some());
    assert_eq!(house.tickets(&restaurant_id).await, [ticket]);
}

async fn a_command_that_comes_again_creates_no_second_ticket(mut house: House) {
    let (restaurant_id, order_id) = (house.restaurant().await, order_id());
    let first = create(&order_id, &restaurant_id);
    let second = again(&first);

    let created: TicketCreated = house.ask(&first).await;
    let created_again: TicketCreated = house.ask(&second).await;

    assert_eq!(created, created_again);
    assert_eq!(house.tickets(&restaurant_id).await.len(), 1);
}

async fn a_forgotten_reply_does_no_harm(mut house: House) {
    let (restaurant_id, order_id) = (house.restaurant().await, order_id());
    let first = create(&order_id, &restaurant_id);
    let created: TicketCreated = house.ask(&first).await;
    let mut forget = Change::new();
    forget.push(Statement::new("DELETE FROM inbox").expecting(1, "the reply was kept"));
    house.store.commit(forget).await.unwrap();

    let created_again: TicketCreated = house.ask(&again(&first)).await;

    assert_eq!(created, created_again);
    assert_eq!(house.tickets(&restaurant_id).await.len(), 1);
}

async fn a_ticket_that_is_called_off_stays_so(mut house: House) {
    let (restaurant_id, order_id) = (house.restaurant().await, order_id());
    let _created: TicketCreated = house.ask(&create(&order_id, &restaurant_id)).await;
    let cancel = cancel(&order_id, &restaurant_id);

    for command in [cancel.clone(), again(&cancel)] {
        let cancelled: TicketCancelled = house.ask(&command).await;
        assert_eq!(cancelled.order_id, order_id);
    }

    let tickets = house.tickets(&restaurant_id).await;
    assert_eq!((tickets.len(), tickets[0].state(), &tickets[0].lines), (1, State::Cancelled, &lines()));
    assert_ne!(tickets[0].update_time, tickets[0].create_time);
}

async fn a_ticket_can_be_called_off_before_it_was_created(mut house: House) {
    let (restaurant_id, order_id) = (house.restaurant().await, order_id());

    let _cancelled: TicketCancelled = house.ask(&cancel(&order_id, &restaurant_id)).await;

    assert_eq!(house.rejected(&create(&order_id, &restaurant_id)).await, [Code::TicketCancelled]);
    let tickets = house.tickets(&restaurant_id).await;
    assert_eq!((tickets.len(), tickets[0].state(), tickets[0].lines.len()), (1, State::Cancelled, 0));
}

async fn of_a_ticket_and_its_cancellation_under_different_keys_either_may_win_and_nothing_is_cooked(mut house: House) {
    let (restaurant_id, order_id) = (house.restaurant().await, order_id());
    let create = Message { key: "another".to_owned(), ..create(&order_id, &restaurant_id) };

    house.send(&create).await;
    house.send(&cancel(&order_id, &restaurant_id)).await;

    house.eventually("SELECT count(*) FROM inbox", 2).await;
    let tickets = house.tickets(&restaurant_id).await;
    assert_eq!((tickets.len(), tickets[0].state()), (1, State::Cancelled));
}

async fn nobody_cooks_in_a_restaurant_that_is_not_there(mut house: House) {
    for restaurant_id in [&RestaurantId::generate().to_string(), "nowhere"] {
        let order_id = order_id();
        assert_eq!(house.rejected(&create(&order_id, restaurant_id)).await, [Code::RestaurantUnknown]);
        let _cancelled: TicketCancelled = house.ask(&cancel(&order_id, restaurant_id)).await;
    }
}

async fn tickets_are_listed_newest_first_and_belong_to_one_restaurant(mut house: House) {
    let (here, there) = (house.restaurant().await, house.restaurant().await);
    let mut orders = Vec::new();
    for restaurant_id in [&here, &there, &here, &here] {
        let order_id = order_id();
        let _created: TicketCreated = house.ask(&create(&order_id, restaurant_id)).await;
        orders.push(order_id);
    }

    let page = |page_token| ListTicketsRequest { restaurant_id: here.clone(), page_size: 2, page_token };
    let first = house.client.list_tickets(page(String::new())).await.unwrap().into_inner();
    let second = house.client.list_tickets(page(first.next_page_token.clone())).await.unwrap().into_inner();
    let elsewhere = ListTicketsRequest { restaurant_id: there.clone(), ..page(first.next_page_token.clone()) };
    let elsewhere = house.client.list_tickets(elsewhere).await.unwrap_err();

    let of = |tickets: &[Ticket]| tickets.iter().map(|ticket| ticket.order_id.clone()).collect::<Vec<_>>();
    assert_eq!(of(&first.tickets), [orders[3].clone(), orders[2].clone()]);
    assert_eq!((of(&second.tickets), second.next_page_token.as_str()), (vec![orders[0].clone()], ""));
    crate::grpc::check_fields(&elsewhere, &["page_token"]);
    let foreign = GetTicketRequest { restaurant_id: there, ticket_id: first.tickets[0].ticket_id.clone() };
    let foreign = house.client.get_ticket(foreign).await.unwrap_err();
    assert_eq!(foreign.code(), Status::NotFound);
    assert_eq!(foreign.get_details_error_info().unwrap().reason, "TICKET_UNKNOWN");
}

async fn an_audit_tells_every_ticket(mut house: House) {
    let restaurant_id = house.restaurant().await;
    let [cooked, called_off] = [order_id(), order_id()];
    let created: TicketCreated = house.ask(&create(&cooked, &restaurant_id)).await;
    let _cancelled: TicketCancelled = house.ask(&cancel(&called_off, &restaurant_id)).await;

    let audit = restaurant::audit(&house.store).await.unwrap();

    assert_eq!(audit.duplicates, []);
    let told: Vec<(String, State)> =
        audit.tickets.iter().map(|ticket| (ticket.order_id.to_string(), ticket.state)).collect();
    assert_eq!(told, [(cooked, State::Created), (called_off, State::Cancelled)]);
    assert_eq!(audit.tickets[0].ticket_id.to_string(), created.ticket_id);
}

async fn commands_wait_for_a_service_that_is_away(mut house: House) {
    let (restaurant_id, order_id) = (house.restaurant().await, order_id());
    let command = create(&order_id, &restaurant_id);

    house.stop().await;
    house.send(&command).await;
    house.start().await;

    let created: TicketCreated = house.reply(&command).await;
    assert_eq!(created.order_id, order_id);
}
