//! A stock client: rumqttc, 5.0. Subscribes, publishes 300 messages of each QoS in turn and one of
//! 200,000 bytes, and prints what came back as one line of JSON.
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Event, MqttOptions};
use std::time::Duration;

fn main() {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut options = MqttOptions::new("rust", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(5));
    options.set_max_packet_size(Some(1 << 20));
    let (client, mut connection) = Client::new(options, 400);
    client.subscribe("rust/5", QoS::ExactlyOnce).unwrap();
    client.subscribe("rust/more", QoS::AtLeastOnce).unwrap();
    let mut got = Vec::new();
    let mut granted = 0;
    for event in connection.iter() {
        match event.expect("the connection holds") {
            Event::Incoming(Packet::SubAck(_)) => {
                granted += 1;
                if granted == 2 {
                    for i in 0..300 {
                        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][i % 3];
                        client.publish("rust/5", qos, false, i.to_string()).unwrap();
                    }
                    client.publish("rust/more", QoS::ExactlyOnce, false, vec![1; 200_000]).unwrap();
                }
            }
            Event::Incoming(Packet::Publish(p)) => {
                let text = if p.payload.len() < 9 {
                    String::from_utf8_lossy(&p.payload).into_owned()
                } else {
                    String::new()
                };
                let topic = String::from_utf8_lossy(&p.topic).into_owned();
                got.push(format!(
                    "{{\"topic\":\"{}\",\"qos\":{},\"size\":{},\"text\":\"{}\"}}",
                    topic, p.qos as u8, p.payload.len(), text
                ));
                if got.len() == 301 {
                    client.disconnect().unwrap();
                    break;
                }
            }
            _ => {}
        }
    }
    println!("[{}]", got.join(","));
}
