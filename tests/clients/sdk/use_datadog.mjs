import { client, v1 } from "@datadog/datadog-api-client";

const monitors = new v1.MonitorsApi(client.createConfiguration());
console.log((await monitors.listMonitors())[0].name);
