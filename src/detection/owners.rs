//! Who owns images: the words a policy may write for an owner, and the account lists behind them.

use std::sync::LazyLock;

use super::shape;
use crate::partition::Partition;

/// `amazon`
static AMAZON: LazyLock<Vec<Owner>> = LazyLock::new(|| read(include_str!("data/aws-owners.txt")));

/// `vendors`
static VENDORS: LazyLock<Vec<Owner>> = LazyLock::new(|| read(include_str!("data/vendors.txt")));

/// An image owner that a list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Twelve digits.
    pub account: &'static str,
    pub partition: Partition,
    /// `Canonical (Ubuntu)`
    pub who: &'static str,
}

/// Against which account and partition the words are read.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The event's account: what `self` stands for. Empty where unknown, and then `self` is nobody.
    pub account: &'a str,
    pub partition: Partition,
}

impl Place<'_> {
    /// Whether an account is what a policy's `self`, `amazon`, `vendors` or account id stands for.
    pub fn is(&self, word: &str, owner: &str) -> bool {
        match word {
            "self" => !self.account.is_empty() && owner == self.account,
            "amazon" => self.amazon(owner).is_some(),
            "vendors" => self.vendor(owner).is_some(),
            account => account == owner,
        }
    }

    /// AWS's own account, if it is one in this partition.
    pub fn amazon(&self, owner: &str) -> Option<&'static Owner> {
        self.find(&AMAZON, owner)
    }

    /// A distributor's account, if it is one in this partition.
    pub fn vendor(&self, owner: &str) -> Option<&'static Owner> {
        self.find(&VENDORS, owner)
    }

    /// For people: `111122223333 (this account)`, `099720109477, Canonical (Ubuntu)`.
    pub fn label(&self, owner: &str) -> String {
        if !self.account.is_empty() && owner == self.account {
            return format!("{owner} (this account)");
        }
        match self.amazon(owner).or_else(|| self.vendor(owner)) {
            Some(known) => format!("{owner}, {}", known.who),
            None => owner.to_owned(),
        }
    }

    // The same digits in another partition are another customer.
    fn find(&self, list: &'static [Owner], owner: &str) -> Option<&'static Owner> {
        list.iter().find(|entry| entry.account == owner && entry.partition == self.partition)
    }
}

/// Reads a list: account, partition, who. A line that is none of that is passed over, and a test says
/// so.
pub fn read(text: &'static str) -> Vec<Owner> {
    text.lines().filter_map(owner).collect()
}

fn owner(line: &'static str) -> Option<Owner> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (account, rest) = line.split_once(char::is_whitespace)?;
    let (partition, who) = rest.trim_start().split_once(char::is_whitespace)?;
    let account = shape::account(account)?;
    Some(Owner { account, partition: Partition::of_name(partition)?, who: who.trim() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place { account: "111122223333", partition: Partition::Aws };

    #[test]
    fn every_line_of_the_lists_is_read_and_no_account_stands_twice() {
        for (text, list) in
            [(include_str!("data/aws-owners.txt"), &*AMAZON), (include_str!("data/vendors.txt"), &*VENDORS)]
        {
            let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count();
            assert_eq!(list.len(), lines);
            let mut accounts: Vec<&str> = list.iter().map(|owner| owner.account).collect();
            accounts.sort_unstable();
            accounts.dedup();
            assert_eq!(accounts.len(), lines, "an account is listed twice");
            assert!(text.contains("# Source: ") && text.contains("# Date: 20"));
        }
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let list =
            read(" 137112412989\taws  Amazon Linux\nnonsense\n12345 aws short\n099720109477 mars Ubuntu\n");
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].who, "Amazon Linux");
    }

    #[test]
    fn words_stand_for_accounts() {
        assert!(HERE.is("self", "111122223333"));
        assert!(HERE.is("amazon", "137112412989"));
        assert!(HERE.is("vendors", "099720109477"));
        assert!(HERE.is("444455556666", "444455556666"));
        assert!(!HERE.is("amazon", "099720109477"));
        assert!(!HERE.is("self", "137112412989"));
    }

    #[test]
    fn an_unknown_account_makes_nobody_self() {
        let nowhere = Place { account: "", partition: Partition::Aws };
        assert!(!nowhere.is("self", ""));
    }

    #[test]
    fn the_same_digits_in_another_partition_are_somebody_else() {
        let china = Place { account: "111122223333", partition: Partition::China };
        assert!(!china.is("amazon", "137112412989"));
        assert!(china.is("amazon", "141808717104"));
        assert!(china.is("vendors", "837727238323"));
        assert!(!china.is("vendors", "099720109477"));
    }
}
