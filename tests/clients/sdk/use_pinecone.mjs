import { Pinecone } from "@pinecone-database/pinecone";

const pinecone = new Pinecone();
console.log((await pinecone.listIndexes()).indexes[0].name);
