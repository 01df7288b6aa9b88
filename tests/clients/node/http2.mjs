import { connect } from "node:http2";

const session = connect("https://api.openai.com");
const stream = session.request({
  ":path": "/v1/hello",
  authorization: `Bearer ${process.env.OPENAI_API_KEY}`,
});
let text = "";
for await (const part of stream.setEncoding("utf8")) {
  text += part;
}
session.close();
console.log(text);
console.log(process.env);
