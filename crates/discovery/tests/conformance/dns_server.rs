//! A DNS server with a zone of a few names, which does what it is told to and remembers what it was asked.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use lifecycle::Tasks;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// A server over UDP. It ends with its owner.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    _tasks: Tasks,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Zone {
    records: Vec<Record>,
    /// What is answered instead, to questions of this kind or of all.
    fault: Option<(Option<RecordType>, ResponseCode)>,
    asked: Vec<(RecordType, Instant)>,
}

impl DnsServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, zone) = (socket.local_addr().unwrap(), Arc::default());
        let mut tasks = Tasks::new();
        tasks.spawn("dns", serve(socket, Arc::clone(&zone)));
        DnsServer { address, zone, _tasks: tasks }
    }

    /// Replaces all addresses of a name.
    pub(crate) fn name(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let name = Name::from_ascii(name).unwrap();
        let mut zone = self.zone.lock().unwrap();
        zone.records.retain(|record| record.name != name);
        zone.records.extend(addresses.iter().map(|address| {
            let data = match address.parse().unwrap() {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            };
            Record::from_rdata(name.clone(), ttl, data)
        }));
    }

    /// Adds a service of a name: priority, weight, port, target.
    pub(crate) fn service(&self, name: &str, ttl: u32, (priority, weight, port, target): (u16, u16, u16, &str)) {
        let srv = SRV::new(priority, weight, port, Name::from_ascii(target).unwrap());
        let record = Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, RData::SRV(srv));
        self.zone.lock().unwrap().records.push(record);
    }

    pub(crate) fn fail(&self, kind: Option<RecordType>, code: ResponseCode) {
        self.zone.lock().unwrap().fault = Some((kind, code));
    }

    pub(crate) fn heal(&self) {
        self.zone.lock().unwrap().fault = None;
    }

    /// When it was asked for records of this kind.
    pub(crate) fn asked(&self, kind: RecordType) -> Vec<Instant> {
        self.zone.lock().unwrap().asked.iter().filter(|(asked, _)| *asked == kind).map(|(_, at)| *at).collect()
    }
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut packet = vec![0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        let Ok(question) = Message::from_vec(&packet[..length]) else { continue };
        let answer = answer(&question, &mut zone.lock().unwrap());
        // Whoever has gone needs no answer.
        drop(socket.send_to(&answer.to_vec().unwrap(), from).await);
    }
}

fn answer(question: &Message, zone: &mut Zone) -> Message {
    let query = question.queries[0].clone();
    let (name, kind) = (query.name().clone(), query.query_type());
    zone.asked.push((kind, Instant::now()));
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(query);
    match zone.fault {
        Some((of, code)) if of.is_none_or(|of| of == kind) => answer.metadata.response_code = code,
        Some(_) | None => {
            let of_name = || zone.records.iter().filter(|record| record.name == name);
            answer.add_answers(of_name().filter(|record| record.record_type() == kind).cloned());
            if of_name().next().is_none() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        }
    }
    answer
}
