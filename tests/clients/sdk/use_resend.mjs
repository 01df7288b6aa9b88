import { Resend } from "resend";

const resend = new Resend(process.env.RESEND_API_KEY);
const { data } = await resend.domains.get("d1");
console.log(data.name);
