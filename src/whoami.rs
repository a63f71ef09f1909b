//! Returns the user and the machine that run this process, for records of who did something. Environment variables are
//! ignored: anyone can set them.

/// Returns the name of the effective user, or the number where `/etc/passwd` has no name for it.
pub fn os_user() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of_uid(&users, &uid).map_or(uid.clone(), str::to_owned)
}

/// Returns the name of the machine, if it has one.
pub fn host() -> Option<String> {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    Some(host).filter(|host| !host.is_empty())
}

fn name_of_uid<'a>(users: &'a str, uid: &str) -> Option<&'a str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_user_is_that_of_the_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nbroken\n:x:7:7::/:\nada:x:1000:1000::/home/ada:/bin/sh\n";
        for (uid, name) in [
            ("0", Some("root")),
            ("1000", Some("ada")),
            ("100", None),
            ("7", None),
        ] {
            assert_eq!(name_of_uid(users, uid), name, "{uid}");
        }
    }
}
