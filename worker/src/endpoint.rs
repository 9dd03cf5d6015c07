//! A UDP socket with QUIC on it, set up the way that was measured to be best for bursts of tensors.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::keys::{Identity, KeyError, client_config, server_config};

/// With the default buffers, echoes of 512 KiB had a 99th percentile of 31 ms instead of 4.
const SOCKET_BUFFER: usize = 4 << 20;
/// The longest UDP payload that passes Ethernet with IPv6 and some tunnels.
const LARGEST_MTU: u16 = 1452;
const INITIAL_WINDOW: u64 = 128 << 10;
/// What a round trip is taken to be before one was measured. A lost packet of the handshake is sent again after three times
/// as long, which with the usual 333 ms is when the connection is given up for silence.
const INITIAL_RTT: Duration = Duration::from_millis(50);
/// A node that says nothing for this long is lost…
const SILENCE: Duration = Duration::from_millis(1000);
/// …so every node says something this often.
const KEEP_ALIVE: Duration = Duration::from_millis(200);

/// Why a node cannot be reached or cannot listen.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// Somebody else listens there.
    #[error("{0} is in use by another program: choose another port, or 0 for any free one")]
    InUse(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Opens a socket; it answers connections only if `listens`. Needs a tokio runtime around it.
///
/// Gives a sentence too if the kernel allows less buffer than asked for.
pub(crate) fn open(
    address: SocketAddr,
    identity: &Identity,
    listens: bool,
) -> Result<(Endpoint, Option<String>), EndpointError> {
    let (socket, warning) = bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => EndpointError::InUse(address),
        _ => EndpointError::Bind { address, error },
    })?;
    let transport = Arc::new(transport());
    let mut client = ClientConfig::new(Arc::new(client_config(identity)?));
    client.transport_config(transport.clone());
    let server = match listens {
        true => {
            let mut server = ServerConfig::with_crypto(Arc::new(server_config(identity)?));
            server.transport_config(transport);
            Some(server)
        }
        false => None,
    };
    let runtime = Arc::new(TokioRuntime);
    let mut endpoint = Endpoint::new(EndpointConfig::default(), server, socket.into(), runtime)
        .map_err(|error| EndpointError::Bind { address, error })?;
    endpoint.set_default_client_config(client);
    Ok((endpoint, warning))
}

fn bind(address: SocketAddr) -> io::Result<(Socket, Option<String>)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Linux reports twice the bytes that it lets a program use.
    let share = if cfg!(target_os = "linux") { 2 } else { 1 };
    let least = socket.recv_buffer_size()?.min(socket.send_buffer_size()?) / share;
    let warning = (least < SOCKET_BUFFER).then(|| {
        format!(
            "the kernel caps socket buffers at {} KiB, which makes large transfers uneven: \
             run sysctl -w net.core.rmem_max={SOCKET_BUFFER} net.core.wmem_max={SOCKET_BUFFER}",
            least / 1024
        )
    });
    Ok((socket, warning))
}

fn transport() -> TransportConfig {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(INITIAL_WINDOW);
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(LARGEST_MTU);
    let silence = VarInt::from_u32(SILENCE.as_millis() as u32);
    let mut transport = TransportConfig::default();
    transport
        .congestion_controller_factory(Arc::new(cubic))
        .mtu_discovery_config(Some(mtu))
        .max_idle_timeout(Some(IdleTimeout::from(silence)))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .enable_segmentation_offload(true)
        // Of tensors with the same priority the first goes out whole before the next begins.
        .send_fairness(false)
        .stream_receive_window(VarInt::from_u32(16 << 20))
        .receive_window(VarInt::from_u32(64 << 20))
        .send_window(64 << 20)
        .max_concurrent_uni_streams(VarInt::from_u32(256))
        .max_concurrent_bidi_streams(VarInt::from_u32(16))
        .datagram_receive_buffer_size(None);
    transport
}
