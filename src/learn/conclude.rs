//! From counts to a proposal: pushes and registries. Images have a file of their own.

use std::collections::BTreeMap;

use super::Learner;
use super::draft::{Draft, Entry, takes};
use super::hours::{self, plain};
use super::pushes::Pushed;
use super::seen::Seen;
use super::write::pusher;
use crate::activity::ActorKind;
use crate::alert::count;
use crate::lookup::Lookup;
use crate::policy::{Pusher, Schedule};

/// Repositories of one principal from which on they are told by what they begin with.
const REPOSITORIES: usize = 24;

impl Learner {
    /// The proposal. Asks the look-up about every image once.
    pub async fn conclude<L: Lookup>(&self, lookup: &L) -> Draft {
        let mut draft = Draft { header: self.header(), ..Draft::default() };
        self.images(lookup, &mut draft).await;
        self.uploads(&mut draft);
        self.registries(&mut draft);
        for (detection, seen) in &self.loud {
            draft.loud.push(Entry::refused(
                (*detection).to_owned(),
                seen.told("match", "matches"),
                "no policy excuses this",
            ));
        }
        // What policies take is not known here, but there.
        draft.hold_to_policy();
        draft
    }

    fn header(&self) -> Vec<String> {
        let mut header = Vec::new();
        let span = self.span.map_or_else(String::new, |(first, last)| {
            format!(", {} to {}", first.format("%Y-%m-%d"), last.format("%Y-%m-%d"))
        });
        header.push(format!("From {}{span}.", count(self.activities, "activity", "activities")));
        if !self.accounts.is_empty() {
            let named: Vec<&str> = self.accounts.iter().take(12).map(String::as_str).collect();
            let rest = self.accounts.len().saturating_sub(named.len());
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            header.push(format!("Accounts: {}{more}.", named.join(", ")));
        }
        for (number, what) in [
            (self.images.uncounted, "launches of further images"),
            (self.pushes.uncounted, "pushes by further pushers"),
            (self.registries.uncounted, "uses of further container images"),
        ] {
            if number > 0 {
                header.push(format!("{} not told apart: there are too many.", count(number, what, what)));
            }
        }
        header
    }

    fn uploads(&self, draft: &mut Draft) {
        let defaults = self.base.uploads.schedules == [Schedule::default()];
        if defaults {
            let habits = hours::infer(&self.pushes, &self.zone);
            for inferred in habits.schedules {
                let entry = Entry::approved(inferred.schedule, inferred.evidence);
                draft.schedules.push(match inferred.review {
                    Some(review) => entry.review(review),
                    None => entry,
                });
            }
            for outside in habits.outside {
                let who = format!("{} to {}", outside.principal, outside.repository);
                let at = outside.seen.first.format("first %a %H:%M UTC");
                let evidence = format!("{}, {at}", outside.seen.told("push", "pushes"));
                draft.outside.push(Entry::refused(who, evidence, "outside the hours above"));
            }
        }
        let mut by_principal: BTreeMap<&str, Vec<(&str, &Pushed)>> = BTreeMap::new();
        for ((principal, repository), pushed) in &self.pushes.by_pair {
            if !self.base.pusher_allowed(repository, principal, &pushed.event_account) {
                by_principal.entry(principal).or_default().push((repository, pushed));
            }
        }
        for (principal, repositories) in by_principal {
            let (mut approved, mut review) = (Vec::new(), None);
            let mut total: Option<Seen> = None;
            for (repository, pushed) in repositories {
                match self.odd_push(principal, repository, pushed) {
                    Push::Refused(why) => {
                        let pusher = Pusher {
                            principal: principal.to_owned(),
                            repositories: vec![repository.to_owned()],
                        };
                        draft.pushers.push(Entry::refused(pusher, pushed.seen.told("push", "pushes"), why));
                        continue;
                    }
                    Push::Odd(why) => review = Some(why),
                    Push::Usual => {}
                }
                approved.push(repository.to_owned());
                match &mut total {
                    Some(total) => total.join(&pushed.seen),
                    None => total = Some(pushed.seen.clone()),
                }
            }
            let Some(total) = total else { continue };
            let evidence = format!(
                "{} to {}",
                total.told("push", "pushes"),
                count(approved.len() as u64, "repository", "repositories")
            );
            if approved.len() > REPOSITORIES {
                approved = prefixes(&approved);
                review.get_or_insert("repositories by what they begin with: there are many");
            }
            let entry =
                Entry::approved(Pusher { principal: principal.to_owned(), repositories: approved }, evidence);
            draft.pushers.push(match review {
                Some(why) => entry.review(why),
                None => entry,
            });
        }
    }

    fn odd_push(&self, principal: &str, repository: &str, pushed: &Pushed) -> Push {
        let foreign = pushed
            .account
            .as_deref()
            .is_some_and(|account| account != pushed.event_account && !self.accounts.contains(account));
        if self.blame.has(repository) {
            Push::Refused("something malicious or critical was found in the repository")
        } else if principal.is_empty() || principal == "unknown" {
            Push::Refused("the events do not name who pushed")
        } else if !plain(principal) || !plain(repository) {
            Push::Refused("the name reads as a pattern, or is too long")
        } else if !takes_push(principal, repository) {
            Push::Refused("no policy takes this name")
        } else if pushed.kind == Some(ActorKind::Root) {
            Push::Refused("the root user")
        } else if pushed.kind == Some(ActorKind::Unknown) || pushed.kind.is_none() {
            Push::Refused("what kind of identity it is, is not known")
        } else if !pushed.seen.is_habit() {
            Push::Refused(if pushed.seen.days() < 2 { "on one day only" } else { "on two days only" })
        } else if foreign {
            Push::Odd("an identity of another account")
        } else {
            Push::Usual
        }
    }

    fn registries(&self, draft: &mut Draft) {
        for (repository, used) in &self.registries.by_repository {
            let places: Vec<&str> =
                used.places.iter().map(String::as_str).filter(|place| !place.is_empty()).collect();
            let evidence = if places.is_empty() {
                used.seen.told("use", "uses")
            } else {
                format!("{} in {}", used.seen.told("use", "uses"), places.join(", "))
            };
            let refused = |why: String| Entry::refused(repository.clone(), evidence.clone(), why);
            draft.registries.push(if self.blame.has(repository) {
                refused("something malicious was seen in it".to_owned())
            } else if used.miner {
                refused("a miner's or a mining pool's name".to_owned())
            } else if let Some(original) = used.imitates {
                refused(format!("passes for {original}"))
            } else if !plain(repository) {
                refused("the name reads as a pattern, or is too long".to_owned())
            } else if !used.seen.is_habit() {
                refused("seldom used".to_owned())
            } else if used.public && !used.well_known {
                refused("of a public registry, where anybody can publish".to_owned())
            } else if used.public {
                Entry::approved(repository.clone(), evidence.clone()).review("from a public registry")
            } else {
                Entry::approved(repository.clone(), evidence.clone())
                    .review("another registry than the account's own: is it yours?")
            });
        }
    }
}

/// One repository with a name that is none must not cost its pusher all others.
fn takes_push(principal: &str, repository: &str) -> bool {
    let value = Pusher { principal: principal.to_owned(), repositories: vec![repository.to_owned()] };
    takes(&format!("uploads: {{pushers: [{}]}}", pusher(&value)))
}

enum Push {
    Usual,
    /// Approved, for a look.
    Odd(&'static str),
    Refused(&'static str),
}

/// `team/*` for `team/app` and `team/web`; a repository of its own stays.
fn prefixes(repositories: &[String]) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for repository in repositories {
        groups.entry(repository.split_once('/').map_or("", |(first, _)| first)).or_default().push(repository);
    }
    let mut patterns = Vec::new();
    for (first, members) in groups {
        match members.as_slice() {
            [_, _, ..] if !first.is_empty() => patterns.push(format!("{first}/*")),
            members => patterns.extend(members.iter().map(|member| (*member).clone())),
        }
    }
    patterns
}
