"""The load driver of the chaos tests: an honest MQTT client that writes a history."""
