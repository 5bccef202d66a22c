//! Processes and sockets as Linux shows them.

use std::fs;

use rustix::process::Pid;

/// A socket that somebody listens on. Its number is never given again, as that of a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Address and port in hexadecimal, as the kernel has them.
    address: String,
    inode: String,
}

impl Socket {
    /// Whether one of these processes holds it.
    pub fn is_of(&self, processes: &[Pid]) -> bool {
        let link = format!("socket:[{}]", self.inode);
        let files = |process: &Pid| fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero()));
        let mut files = processes.iter().filter_map(|process| files(process).ok()).flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link.as_str()))
    }

    pub fn is_on_loopback(&self) -> bool {
        // Words are in the byte order of the machine, which here has the lowest byte first.
        let (address, _) = self.address.split_once(':').unwrap();
        (address.len() == 8 && address.ends_with("7F")) || address == "00000000000000000000000001000000"
    }
}

/// All that is listened on.
pub fn listening() -> Vec<Socket> {
    const LISTEN: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns[3] == LISTEN)
        .map(|columns| Socket { address: columns[1].to_owned(), inode: columns[9].to_owned() })
        .collect()
}

/// All that a process has started, and what that has started: names and numbers.
pub fn descendants(of: Pid) -> Vec<(String, Pid)> {
    let processes: Vec<_> =
        fs::read_dir("/proc").unwrap().filter_map(|entry| process(&entry.unwrap().path())).collect();
    let mut found: Vec<(String, Pid)> = Vec::new();
    let mut parents = vec![of];
    while let Some(next) = parents.pop() {
        for (name, process, _) in processes.iter().filter(|(_, _, parent)| *parent == Some(next)) {
            found.push((name.clone(), *process));
            parents.push(*process);
        }
    }
    found
}

/// The name, the number and the parent of what a folder of `/proc` tells of.
fn process(folder: &std::path::Path) -> Option<(String, Pid, Option<Pid>)> {
    // `1234 (a name) S 1 …`; one that has ended meanwhile is none.
    let status = fs::read_to_string(folder.join("stat")).ok()?;
    let (number, rest) = status.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
    Some((name.to_owned(), Pid::from_raw(number.parse().ok()?)?, Pid::from_raw(parent)))
}
