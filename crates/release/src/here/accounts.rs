//! Who is who in an image: `/etc/passwd` and `/etc/group` of its tree, and which of them `USER` means.
//!
//! As container runtimes read it: a name or number of a user, and of a group after a colon.

use serde::{Deserialize, Serialize};

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    pub user: u32,
    pub group: u32,
    pub home: String,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub group: u32,
    pub members: Vec<String>,
}

/// Both files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    pub users: Vec<Account>,
    pub groups: Vec<Group>,
}

/// Who a container of an image runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    pub user: u32,
    pub group: u32,
    /// The name, when the image says one and not a number.
    pub name: Option<String>,
}

impl Accounts {
    /// Lines that are not of the form are left out, as container runtimes do.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let users = passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            Some(Account {
                name: fields.first()?.to_string(),
                user: fields.get(2)?.parse().ok()?,
                group: fields.get(3)?.parse().ok()?,
                home: fields.get(5).copied().unwrap_or_default().to_owned(),
            })
        });
        let groups = group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            let members = fields.get(3).copied().unwrap_or_default().split(',');
            Some(Group {
                name: fields.first()?.to_string(),
                group: fields.get(2)?.parse().ok()?,
                members: members.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            })
        });
        Self {
            users: users.collect(),
            groups: groups.collect(),
        }
    }

    /// Who `USER` of an image means.
    ///
    /// # Errors
    /// A name that is in neither file.
    pub fn find(&self, text: &str) -> Result<User, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (text, None),
        };
        let by_name = self.users.iter().find(|known| known.name == user);
        let number = user.parse::<u32>().ok();
        let (id, account) = match (by_name, number) {
            (Some(account), _) => (account.user, Some(account)),
            (None, Some(number)) => (number, self.account(number)),
            (None, None) if user.is_empty() => (0, self.account(0)),
            (None, None) => {
                return Err(format!(
                    "unable to find user {user}: no matching entries in passwd file"
                ));
            }
        };
        let group = match group {
            None => account.map_or(0, |account| account.group),
            Some(name) => {
                let known = self.groups.iter().find(|group| group.name == name);
                match known.map(|group| group.group).or_else(|| name.parse().ok()) {
                    Some(group) => group,
                    None => {
                        return Err(format!(
                            "unable to find group {name}: no matching entries in group file"
                        ));
                    }
                }
            }
        };
        Ok(User {
            user: id,
            group,
            name: (number.is_none() && !user.is_empty()).then(|| user.to_owned()),
        })
    }

    /// The account of a number.
    #[must_use]
    pub fn account(&self, user: u32) -> Option<&Account> {
        self.users.iter().find(|known| known.user == user)
    }

    /// Groups that a user is in besides, in order, each once.
    #[must_use]
    pub fn memberships(&self, user: u32) -> Vec<u32> {
        let Some(account) = self.account(user) else {
            return Vec::new();
        };
        let groups = self.groups.iter().filter(|group| group.members.contains(&account.name));
        let mut all: Vec<u32> = groups.map(|group| group.group).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_as_container_runtimes_do() {
        let accounts = Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\nspark:x:185:185::/home/spark:\nodd\n1000:x:7:8:::\n+::::::\n",
            "root:x:0:\nspark:x:185:\nusers:x:100:spark,other\ndisk:x:6:spark\n",
        );
        for (text, found) in [
            ("", Ok((0, 0, None))),
            ("spark", Ok((185, 185, Some("spark")))),
            ("185", Ok((185, 185, None))),
            ("185:0", Ok((185, 0, None))),
            ("spark:users", Ok((185, 100, Some("spark")))),
            ("spark:", Ok((185, 185, Some("spark")))),
            ("4000", Ok((4000, 0, None))),
            (":users", Ok((0, 100, None))),
            ("1000", Ok((7, 8, None))),
            ("jo", Err("unable to find user jo: no matching entries in passwd file")),
            (
                "spark:x",
                Err("unable to find group x: no matching entries in group file"),
            ),
            ("-1", Err("unable to find user -1: no matching entries in passwd file")),
        ] {
            let user = accounts.find(text);
            let user = user.as_ref().map(|user| (user.user, user.group, user.name.as_deref()));
            assert_eq!(user.map_err(String::as_str), found, "{text}");
        }
        assert_eq!(accounts.memberships(185), [6, 100]);
        assert!(accounts.memberships(9).is_empty());
        assert_eq!(
            accounts.account(185).map(|account| account.home.as_str()),
            Some("/home/spark")
        );
    }
}
