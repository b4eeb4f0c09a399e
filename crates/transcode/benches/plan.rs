//! What a plan costs beside the reference: an order that is created, and one that is given.
//!
//! `cargo bench --package transcode`. Rounds of both take turns, so that a busy machine slows both; the best round of each counts.

#![expect(clippy::unwrap_used, reason = "a program for measurements ends at what it does not expect")]

use std::hint::black_box;
use std::time::Instant;
use transcode::{Defaults, Dialect, EnumNames, Plan, Reference};

/// Rounds of each; the best is what an idle machine would show.
const ROUNDS: u32 = 15;
/// Calls of a round: some milliseconds.
const CALLS: u32 = 1_000;

const REQUEST: &str = r#"{
  "consumerId": "01890a5d-ac96-774b-bcce-b302099a8057", "restaurantId": "01890a5d-ac96-774b-bcce-b302099a8058",
  "lines": [
    {"menuItemId": "01890a5d-ac96-774b-bcce-b302099a8059", "quantity": 2},
    {"menuItemId": "01890a5d-ac96-774b-bcce-b302099a8060", "quantity": 1},
    {"menuItemId": "01890a5d-ac96-774b-bcce-b302099a8061", "quantity": 3}
  ],
  "deliveryAddress": {"lines": ["12 Market Street"], "city": "London"}
}"#;

const ORDER: &str = r#"{
  "orderId": "01890a5d-ac96-774b-bcce-b302099a8062", "state": "APPROVED", "version": "5",
  "consumerId": "01890a5d-ac96-774b-bcce-b302099a8057", "restaurantId": "01890a5d-ac96-774b-bcce-b302099a8058",
  "lines": [
    {"menuItemId": "01890a5d-ac96-774b-bcce-b302099a8059", "name": "Chicken Tikka Masala", "quantity": 2,
     "unitPrice": {"currencyCode": "GBP", "units": "8", "nanos": 950000000}},
    {"menuItemId": "01890a5d-ac96-774b-bcce-b302099a8060", "name": "Pilau Rice", "quantity": 1,
     "unitPrice": {"currencyCode": "GBP", "units": "2", "nanos": 950000000}},
    {"menuItemId": "01890a5d-ac96-774b-bcce-b302099a8061", "name": "Plain Papadum", "quantity": 3,
     "unitPrice": {"currencyCode": "GBP", "units": "0", "nanos": 800000000}}
  ],
  "orderTotal": {"currencyCode": "GBP", "units": "23", "nanos": 250000000}, "menuVersion": "7",
  "deliveryAddress": {"lines": ["12 Market Street"], "city": "London"},
  "createTime": "2026-05-17T18:30:00.123Z", "updateTime": "2026-05-17T18:30:00.456Z"
}"#;

fn main() {
    // `cargo test` runs this too, to see that it does not rot.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([proto]).unwrap();
    let pool = compiler.include_imports(true).open_file("comanda/order/v1/order.proto").unwrap().descriptor_pool();
    for (name, json) in [("CreateOrderRequest", REQUEST), ("Order", ORDER)] {
        let of = pool.get_message_by_name(&format!("comanda.order.v1.{name}")).unwrap();
        let (plan, reference) = (Plan::new(&of, EnumNames::Whole), Reference::new(of, Dialect::default()));
        let wire = reference.read(json.as_bytes()).unwrap();
        println!("{name}: {} bytes of JSON, {} of protobuf", json.len(), wire.len());
        compare(
            "JSON to protobuf",
            rounds,
            || plan.read(json.as_bytes()).unwrap(),
            || reference.read(json.as_bytes()).unwrap(),
        );
        compare(
            "protobuf to JSON",
            rounds,
            || plan.write(&wire, Defaults::Written).unwrap(),
            || reference.write(&wire, Defaults::Written).unwrap(),
        );
    }
}

fn compare<T>(what: &str, rounds: u32, plan: impl Fn() -> T, reference: impl Fn() -> T) {
    let (mut planned, mut referred) = (f64::MAX, f64::MAX);
    for _ in 0..rounds {
        planned = planned.min(nanoseconds(&plan));
        referred = referred.min(nanoseconds(&reference));
    }
    println!("  {what}: plan {planned:.0} ns, reference {referred:.0} ns, {:.1} times", referred / planned);
}

/// What a call costs.
fn nanoseconds<T>(call: &impl Fn() -> T) -> f64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        black_box(call());
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}
