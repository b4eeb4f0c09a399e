//! Reading menus: which lines are good, and what is said of the bad ones.

use import::Error;
use import::menu_csv::{File, ITEMS_MAX, parse};
use iso_currency::Currency;
use proto::Amount;
use std::path::Path;

fn read(text: impl AsRef<[u8]>) -> Result<File, Error> {
    parse(Path::new("menu.csv"), text.as_ref(), Currency::GBP)
}

#[track_caller]
fn check_bad(text: impl AsRef<[u8]>, bad_lines: &[&str]) -> File {
    let file = read(text).expect("the file has a good line");
    assert_eq!(file.bad_lines.iter().map(ToString::to_string).collect::<Vec<_>>(), bad_lines);
    file
}

#[test]
fn a_file_without_ids_is_one_restaurant() {
    let file = check_bad("\u{feff}Item Name,Product Price\n Plain Naan ,2.6\nPuree,0\n", &[]);

    let [restaurant] = file.restaurants.as_slice() else { panic!("{file:?}") };
    let [naan, puree] = restaurant.items.as_slice() else { panic!("{restaurant:?}") };
    assert_eq!(restaurant.id, None);
    assert_eq!((naan.menu_item_id.as_str(), naan.name.as_str()), ("plain-naan", "Plain Naan"));
    assert_eq!(naan.price, Some(Amount::new(260, Currency::GBP).into()));
    assert_eq!(puree.price, Some(Amount::new(0, Currency::GBP).into()));
}

#[test]
fn a_file_with_ids_may_hold_several_restaurants() {
    let text = "restaurant_id,category,name,description,price\n7,Wings,Five,\"Hot, \"\"very\"\"\",8.99 GBP\n3,,Tea,,1\n7,Wings,Ten,,15\n";

    let file = check_bad(text, &[]);

    let found: Vec<_> = file.restaurants.iter().map(|it| (it.id.as_deref(), it.items.len())).collect();
    assert_eq!(found, [(Some("7"), 2), (Some("3"), 1)]);
    assert_eq!(file.restaurants[0].items[0].description, "Hot, \"very\"");
    assert_eq!(file.restaurants[0].items[1].menu_item_id, "wings-ten");
}

#[test]
fn the_order_and_the_case_of_the_columns_do_not_matter() {
    let simple = check_bad("product price,ITEM NAME\n2.6,Naan\n", &[]);
    let full = check_bad("price,name,Restaurant_ID,description,category\n2.6,Naan,1,,\n", &[]);

    assert_eq!(simple.restaurants[0].items, full.restaurants[0].items);
}

#[test]
fn every_bad_line_is_named_and_the_good_ones_stay() {
    let text = b"Item Name,Product Price\nNaan,2.6\n,1\nPuree\nRice,free\nTea,1.5 USD\nCha\xff,1\nBeer,-1\nWine,1.234\n\"Two\nlines\",2\nRum,\n";

    let file = check_bad(
        text,
        &[
            "line 3: the name is empty",
            "line 4: has 1 fields, and the header has 2",
            "line 5: the price \"free\" is no plain number such as 12.50, with or without a currency code",
            "line 6: the price \"1.5 USD\" is not in GBP",
            "line 7: item name is not valid UTF-8",
            "line 8: the price \"-1\" is negative",
            "line 9: the price \"1.234\" has 3 decimals; GBP has 2",
            "line 12: the price is empty",
        ],
    );

    let names: Vec<_> = file.restaurants[0].items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["Naan", "Two\nlines"]);
}

#[test]
fn lengths_are_counted_in_characters() {
    let row = |name: usize, category: usize, description: usize| {
        format!("1,{},{},{},1\n", "c".repeat(category), "é".repeat(name), "d".repeat(description))
    };
    let rows = [row(200, 200, 2000), row(201, 0, 0), row(1, 201, 0), row(1, 0, 2001)].concat();

    check_bad(
        format!("restaurant_id,category,name,description,price\n{rows},,Naan,,1\n"),
        &[
            "line 3: the name has 201 characters; at most 200 are taken",
            "line 4: the category has 201 characters; at most 200 are taken",
            "line 5: the description has 2001 characters; at most 2000 are taken",
            "line 6: restaurant_id is empty",
        ],
    );
}

#[test]
fn a_menu_ends_at_its_limit() {
    let rows: String = (0..=ITEMS_MAX).map(|item| format!("Item {item},1\n")).collect();

    let file = check_bad(format!("Item Name,Product Price\n{rows}"), &["line 10002: its menu already has 10000 items"]);

    assert_eq!(file.restaurants[0].items.len(), ITEMS_MAX);
}

#[test]
fn other_columns_are_refused_with_those_that_are_expected() {
    for header in ["name,price", "Item Name,Product Price,Extra", ""] {
        let refused = read(header).expect_err("the header is unknown").to_string();

        assert!(refused.contains("`item name,product price` or `restaurant_id,category,name"), "{refused}");
    }
}

#[test]
fn a_file_without_a_good_line_is_refused() {
    let refused = read("Item Name,Product Price\nNaan,free\nTea,\n").expect_err("no line is good");

    assert_eq!(refused.bad_lines().len(), 2);
    assert!(refused.to_string().contains("(line 2: the price \"free\" is no plain"), "{refused}");
    assert!(matches!(read("Item Name,Product Price\n"), Err(Error::NoGoodLine { .. })));
}
