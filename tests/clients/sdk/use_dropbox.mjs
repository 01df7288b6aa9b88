import { Dropbox } from "dropbox";

const dropbox = new Dropbox({ accessToken: process.env.DROPBOX_ACCESS_TOKEN });
const { result } = await dropbox.usersGetCurrentAccount();
console.log(result.name.display_name);
