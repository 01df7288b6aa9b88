const WebSocket = require("ws");

const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
const socket = new WebSocket("wss://api.openai.com/v1/realtime", { headers });
socket.on("open", () => socket.send("hello from the origin"));
socket.on("message", (data) => {
  console.log(data.toString());
  console.log(process.env);
  socket.close();
});
