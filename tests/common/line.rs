//! The line between a machine and its service: in user space, so that it can be looked at, and can misbehave.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::sleep;

use super::machine::Machine;
use super::random::Random;

/// What goes at once.
const PIECE_BYTES: usize = 32 << 10;

/// A line that runs until it is dropped.
pub struct Line {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

/// How a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It does what a line should.
    Well,
    /// Each connection meets its own fate after a while.
    Wild,
    /// It takes connections, and nothing goes or comes. What was open then is dead for good, and nobody is told.
    Black,
}

/// What went one way.
#[derive(Default)]
pub struct Gone {
    /// When, and how many bytes.
    pub pieces: Vec<(Instant, u64)>,
}

struct Shared {
    service: SocketAddr,
    mood: watch::Sender<Mood>,
    random: Mutex<Random>,
    up: Mutex<Gone>,
    down: Mutex<Gone>,
    /// Bytes that broken connections had carried up without an answer.
    unanswered: AtomicU64,
    broken: AtomicU64,
}

/// What becomes of a connection of a wild line.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Cut,
    Reset,
    Delay,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Gone {
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|(_, bytes)| bytes).sum()
    }

    /// What went from that moment on.
    pub fn since(&self, moment: Instant) -> Self {
        let later = self.pieces.iter().filter(|(at, _)| *at >= moment);
        Self {
            pieces: later.copied().collect(),
        }
    }

    /// The most that went within any such time.
    pub fn most_within(&self, time: Duration) -> u64 {
        let (mut most, mut sum, mut first) = (0, 0, 0);
        for (at, bytes) in &self.pieces {
            sum += bytes;
            while self.pieces[first].0 + time < *at {
                sum -= self.pieces[first].1;
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }

    /// When so many bytes had first gone within such a time.
    pub fn first_time_faster(&self, bytes: u64, within: Duration) -> Option<Instant> {
        let (mut sum, mut first) = (0, 0);
        for (at, length) in &self.pieces {
            sum += length;
            while self.pieces[first].0 + within < *at {
                sum -= self.pieces[first].1;
                first += 1;
            }
            if sum >= bytes {
                return Some(*at);
            }
        }
        None
    }
}

impl Line {
    /// A line that leads to this address.
    pub fn to(service: &str, random: Random) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(async {
            let socket = socket();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(128).unwrap()
        });
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            service: service.parse().unwrap(),
            mood: watch::Sender::new(Mood::Well),
            random: Mutex::new(random),
            up: Mutex::default(),
            down: Mutex::default(),
            unanswered: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        });
        runtime.spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            _runtime: runtime,
        }
    }

    /// From now on the machine speaks to its service through this line.
    pub fn lead(&self, machine: &Machine, service_url: &str) {
        let state = machine.state.join("machine.json");
        let text = std::fs::read_to_string(&state).unwrap();
        let url = format!("https://{}", self.address);
        assert!(text.contains(service_url), "{text}");
        std::fs::write(&state, text.replace(service_url, &url)).unwrap();
    }

    pub fn be(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// What went to the service.
    pub fn up<T>(&self, look: impl FnOnce(&Gone) -> T) -> T {
        look(&self.shared.up.lock().unwrap())
    }

    /// What came from the service.
    pub fn down<T>(&self, look: impl FnOnce(&Gone) -> T) -> T {
        look(&self.shared.down.lock().unwrap())
    }

    /// Bytes that broken connections had carried up without an answer.
    pub fn unanswered(&self) -> u64 {
        self.shared.unanswered.load(Ordering::SeqCst)
    }

    /// How many connections it has broken.
    pub fn broken(&self) -> u64 {
        self.shared.broken.load(Ordering::SeqCst)
    }
}

/// What lies in its buffers has gone already, by its own account: so these are small.
fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(PIECE_BYTES as u32).unwrap();
    socket.set_recv_buffer_size(PIECE_BYTES as u32).unwrap();
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connection(client, shared.clone()));
    }
}

/// One connection: what it did, for both ways.
struct Connection {
    shared: Arc<Shared>,
    /// Bytes up since the last that came down.
    unanswered: AtomicU64,
    /// Bytes either way until its fate.
    left: AtomicU64,
    fate: Fate,
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let Ok(service) = socket().connect(shared.service).await else {
        return;
    };
    for stream in [&client, &service] {
        stream.set_nodelay(true).unwrap();
    }
    let (fate, left) = fate(&shared);
    let connection = Connection {
        shared,
        unanswered: AtomicU64::new(0),
        left: AtomicU64::new(left),
        fate,
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let ended = tokio::select! {
        ended = connection.carry(Way::Up, &mut from_client, &mut to_service) => ended,
        ended = connection.carry(Way::Down, &mut from_service, &mut to_client) => ended,
    };
    if let Err(Broken(fate)) = ended {
        let Connection { shared, unanswered, .. } = &connection;
        shared.broken.fetch_add(1, Ordering::SeqCst);
        shared
            .unanswered
            .fetch_add(unanswered.load(Ordering::SeqCst), Ordering::SeqCst);
        if matches!(fate, Fate::Reset) {
            for stream in [
                from_client.reunite(to_client).unwrap(),
                from_service.reunite(to_service).unwrap(),
            ] {
                let _ = stream.set_zero_linger();
            }
        }
    }
}

/// How a connection ends that did not end by itself.
struct Broken(Fate);

fn fate(shared: &Shared) -> (Fate, u64) {
    let mut random = shared.random.lock().unwrap();
    let fate = [Fate::Cut, Fate::Reset, Fate::Delay][random.below(3) as usize];
    (fate, random.below(24 << 20))
}

/// Returns when the line is black.
async fn blackness(mood: &mut watch::Receiver<Mood>) {
    let _ = mood.wait_for(|mood| *mood == Mood::Black).await;
}

impl Connection {
    async fn carry(&self, way: Way, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> Result<(), Broken> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let mut mood = self.shared.mood.subscribe();
            let length = tokio::select! {
                biased;
                () = blackness(&mut mood) => return self.die(way, from).await,
                read = from.read(&mut piece) => match read {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(length) => length,
                },
            };
            self.note(way, length as u64);
            let is_wild = *mood.borrow() == Mood::Wild;
            if is_wild {
                self.suffer(length as u64).await?;
            }
            if to.write_all(&piece[..length]).await.is_err() {
                return Ok(());
            }
            if way == Way::Down {
                self.unanswered.store(0, Ordering::SeqCst);
            }
        }
    }

    /// Reads nothing and says nothing until the other side has enough of it.
    async fn die(&self, way: Way, from: &mut OwnedReadHalf) -> Result<(), Broken> {
        if way == Way::Down {
            return std::future::pending().await;
        }
        let mut nowhere = vec![0; PIECE_BYTES];
        while let Ok(1..) = from.read(&mut nowhere).await {}
        Err(Broken(Fate::Cut))
    }

    fn note(&self, way: Way, bytes: u64) {
        let gone = match way {
            Way::Up => &self.shared.up,
            Way::Down => &self.shared.down,
        };
        gone.lock().unwrap().pieces.push((Instant::now(), bytes));
        if way == Way::Up {
            self.unanswered.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    async fn suffer(&self, bytes: u64) -> Result<(), Broken> {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(left.saturating_sub(bytes))
            })
            .expect("it is always some");
        if before == 0 || before > bytes {
            return Ok(());
        }
        match self.fate {
            Fate::Delay => {
                let milliseconds = self.shared.random.lock().unwrap().below(3000);
                sleep(Duration::from_millis(milliseconds)).await;
                Ok(())
            }
            fate => Err(Broken(fate)),
        }
    }
}
