import { listYourOrganizations } from "@sentry/api";

const headers = { Authorization: `Bearer ${process.env.SENTRY_AUTH_TOKEN}` };
const { data } = await listYourOrganizations({ baseUrl: "https://sentry.io", headers });
console.log(data[0].name);
