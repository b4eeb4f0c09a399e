//! Reading orders: what they must cost, and which are withheld.

use import::menu_csv;
use iso_currency::Currency;
use loadgen::Error;
use loadgen::orders_csv::{Menu, Orders, parse, read};
use proto::Amount;
use std::path::{Path, PathBuf};

const HEADER: &str = "OrderNumber,OrderDate,ItemName,Quantity,ProductPrice,TotalProducts";

fn menu() -> Menu {
    let text = "Item Name,Product Price\nPlain Naan,2.6\nTea,1\nGold,90000000000000000\n";
    let file = menu_csv::parse(Path::new("menu.csv"), text.as_bytes(), Currency::GBP).expect("the menu is good");
    Menu::new(&file.restaurants[0].items, Currency::GBP)
}

fn orders(rows: &str) -> Orders {
    parse(Path::new("orders.csv"), format!("{HEADER}\n{rows}").as_bytes(), &menu()).expect("the header is good")
}

#[test]
fn rows_of_one_order_need_not_stand_together() {
    let read = orders("2,x,Plain Naan,2,2.6,2\n1,x,Tea,1,1,1\n2,x,Tea ,3,0.9,2\n");

    let [two, one] = read.orders.as_slice() else { panic!("{read:?}") };
    assert_eq!((two.number.as_str(), two.expected), ("2", Amount::new(820, Currency::GBP)));
    assert_eq!((one.number.as_str(), one.expected), ("1", Amount::new(100, Currency::GBP)));
    assert_eq!(two.lines[1].menu_item_id, "tea");
    assert_eq!((read.lines(), read.other_price_lines(), read.withheld), (3, 1, 0));
}

#[test]
fn an_order_with_a_bad_row_is_withheld_and_told() {
    let rows = "1,x,Tea,1,1,1\n1,x,Coffee,1,1,1\n2,x,Tea,0,1,1\n3,x,Tea,1000,1,1\n4,x,Tea,1,1,1\n5,x,Gold,1,1,2\n5,x,Gold,1,1,2\n";

    let read = orders(rows);

    let told: Vec<_> = read.bad_lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 3: order \"1\": \"Coffee\" is not on the menu",
            "line 4: order \"2\": the quantity is not within 1 to 999",
            "line 5: order \"3\": the quantity is not within 1 to 999",
            "line 8: order \"5\": its total is too large",
        ]
    );
    assert_eq!(read.orders.iter().map(|it| it.number.as_str()).collect::<Vec<_>>(), ["4"]);
    assert_eq!((read.withheld, read.lines()), (4, 1));
}

#[test]
fn an_order_ends_at_the_limit_of_lines() {
    let read = orders(&"1,x,Tea,1,1,501\n".repeat(501));

    assert_eq!(read.bad_lines[0].to_string(), "line 502: order \"1\": it already has 500 lines");
}

#[test]
fn other_columns_are_refused() {
    let refused = parse(Path::new("orders.csv"), b"Order,Item\n", &menu());

    assert!(matches!(refused, Err(Error::Header { .. })));
}

/// A file of `../shared/data`; `None`, with a word about it, where that folder is absent and may be.
fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: ../shared/data is absent");
    assert!(std::env::var_os("COMANDA_TEST_FORBID_SKIP").is_none_or(|it| it != "1"), "{} is absent", path.display());
    None
}

#[test]
fn the_orders_of_restaurant_1_are_read_whole() {
    let Some(path) = shared("restaurant-1-products-price.csv") else { return };
    let menu = Menu::read(&path, Currency::GBP).unwrap();

    let read = read(&path.with_file_name("restaurant-1-orders.csv"), &menu).unwrap();

    assert_eq!((read.orders.len(), read.lines(), menu.len()), (13_397, 74_818, 248));
    assert_eq!(read.other_price_lines(), 967);
    assert_eq!((read.bad_lines.len(), read.withheld), (0, 0));
    let total: i64 = read.orders.iter().map(|order| order.expected.minor).sum();
    assert_eq!(total, 44_505_845, "in pence, as a spreadsheet sums it");
}
