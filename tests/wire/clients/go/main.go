// A stock client: paho for Go, 3.1.1. Subscribes, publishes 300 messages of each QoS in turn and one
// of 200,000 bytes, and prints what came back as one line of JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

type message struct {
	Topic string `json:"topic"`
	QoS   byte   `json:"qos"`
	Size  int    `json:"size"`
	Text  string `json:"text"`
}

func must(token mqtt.Token) {
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		fmt.Fprintln(os.Stderr, "failed:", token.Error())
		os.Exit(1)
	}
}

func main() {
	options := mqtt.NewClientOptions().AddBroker("tcp://127.0.0.1:" + os.Args[1])
	options.SetClientID("go").SetProtocolVersion(4).SetOrderMatters(true)
	client := mqtt.NewClient(options)
	must(client.Connect())
	got := make(chan message, 400)
	note := func(_ mqtt.Client, m mqtt.Message) {
		text := ""
		if len(m.Payload()) < 9 {
			text = string(m.Payload())
		}
		got <- message{m.Topic(), m.Qos(), len(m.Payload()), text}
	}
	must(client.SubscribeMultiple(map[string]byte{"go/4": 2, "go/more": 1}, note))
	tokens := []mqtt.Token{}
	for i := 0; i < 300; i++ {
		tokens = append(tokens, client.Publish("go/4", byte(i%3), false, strconv.Itoa(i)))
	}
	tokens = append(tokens, client.Publish("go/more", 2, false, make([]byte, 200000)))
	for _, token := range tokens {
		must(token)
	}
	messages := []message{}
	for len(messages) < 301 {
		select {
		case m := <-got:
			messages = append(messages, m)
		case <-time.After(20 * time.Second):
			fmt.Fprintln(os.Stderr, "only", len(messages), "messages")
			os.Exit(1)
		}
	}
	must(client.Unsubscribe("go/more"))
	client.Disconnect(100)
	json.NewEncoder(os.Stdout).Encode(messages)
}
