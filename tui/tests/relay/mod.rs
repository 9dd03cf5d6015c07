//! A way to a worker that can be barred to one of those who take it, as a firewall between two devices does.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Passes datagrams on between whoever sends to it and a worker.
pub struct Relay {
    /// Where the worker is reached by it.
    pub address: String,
    barred: Arc<Mutex<Option<SocketAddr>>>,
    is_over: Arc<AtomicBool>,
}

impl Relay {
    /// A way to the worker at `address`.
    pub fn to(address: &str) -> Self {
        let worker: SocketAddr = address.parse().expect("an address");
        let front = socket();
        let address = front.local_addr().expect("it is bound").to_string();
        let relay = Self { address, barred: Arc::default(), is_over: Arc::default() };
        let (barred, is_over) = (relay.barred.clone(), relay.is_over.clone());
        std::thread::spawn(move || {
            // For each who sends, a socket that the worker takes for theirs.
            let mut backs: HashMap<SocketAddr, UdpSocket> = HashMap::new();
            let mut bytes = vec![0; 1 << 16];
            while !is_over.load(Ordering::Relaxed) {
                let Ok((length, from)) = front.recv_from(&mut bytes) else { continue };
                if *barred.lock().expect("no holder panics") == Some(from) {
                    continue;
                }
                let back = backs.entry(from).or_insert_with(|| {
                    let back = socket();
                    let (answers, front) =
                        (back.try_clone().expect("a handle"), front.try_clone().expect("a handle"));
                    let (barred, is_over) = (barred.clone(), is_over.clone());
                    std::thread::spawn(move || {
                        let mut bytes = vec![0; 1 << 16];
                        while !is_over.load(Ordering::Relaxed) {
                            let Ok((length, _)) = answers.recv_from(&mut bytes) else { continue };
                            if *barred.lock().expect("no holder panics") != Some(from) {
                                // One that is lost is sent again.
                                let _ = front.send_to(&bytes[..length], from);
                            }
                        }
                    });
                    back
                });
                let _ = back.send_to(&bytes[..length], worker);
            }
        });
        relay
    }

    /// From now on nothing passes between the worker and whoever sends from `address`; `None` lets everything pass.
    pub fn bar(&self, address: Option<&str>) {
        let address = address.map(|address| address.parse().expect("an address"));
        *self.barred.lock().expect("no holder panics") = address;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    socket
}
