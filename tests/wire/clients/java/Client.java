// A stock client: paho for Java, 5.0. Subscribes, publishes 300 messages of each QoS in turn and one
// of 200,000 bytes, and prints what came back as one line of JSON.
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.eclipse.paho.mqttv5.client.IMqttMessageListener;
import org.eclipse.paho.mqttv5.client.MqttAsyncClient;
import org.eclipse.paho.mqttv5.client.MqttConnectionOptions;
import org.eclipse.paho.mqttv5.client.persist.MemoryPersistence;
import org.eclipse.paho.mqttv5.common.MqttSubscription;

public class Client {
  public static void main(String[] arguments) throws Exception {
    String server = "tcp://127.0.0.1:" + arguments[0];
    MqttAsyncClient client = new MqttAsyncClient(server, "java", new MemoryPersistence());
    MqttConnectionOptions options = new MqttConnectionOptions();
    options.setKeepAliveInterval(5);
    client.connect(options).waitForCompletion(20_000);
    List<String> got = new CopyOnWriteArrayList<>();
    CountDownLatch left = new CountDownLatch(301);
    IMqttMessageListener note = (topic, message) -> {
      byte[] payload = message.getPayload();
      String text = payload.length < 9 ? new String(payload) : "";
      got.add(String.format("{\"topic\":\"%s\",\"qos\":%d,\"size\":%d,\"text\":\"%s\"}", topic,
          message.getQos(), payload.length, text));
      left.countDown();
    };
    MqttSubscription[] filters = {
        new MqttSubscription("java/5", 2), new MqttSubscription("java/more", 1)};
    IMqttMessageListener[] notes = {note, note};
    client.subscribe(filters, null, null, notes,
        new org.eclipse.paho.mqttv5.common.packet.MqttProperties()).waitForCompletion(20_000);
    for (int i = 0; i < 300; ++i) {
      client.publish("java/5", Integer.toString(i).getBytes(), i % 3, false)
          .waitForCompletion(20_000);
    }
    client.publish("java/more", new byte[200_000], 2, false).waitForCompletion(20_000);
    if (!left.await(20, TimeUnit.SECONDS)) {
      System.err.println("only " + got.size() + " messages");
      System.exit(1);
    }
    client.unsubscribe("java/more").waitForCompletion(20_000);
    client.disconnect().waitForCompletion(20_000);
    client.close();
    System.out.println("[" + String.join(",", got) + "]");
    System.exit(0);
  }
}
