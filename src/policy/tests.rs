use super::*;
#[test]
fn shows_schema() {
    println!("{}", serde_json::to_string_pretty(&Policy::schema()).unwrap());
    println!("{}", Policy::default().to_yaml());
}
