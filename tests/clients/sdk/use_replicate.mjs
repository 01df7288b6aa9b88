import Replicate from "replicate";

const replicate = new Replicate();
console.log((await replicate.models.get("owner", "model")).description);
