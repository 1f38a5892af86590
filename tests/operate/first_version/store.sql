BEGIN TRANSACTION;
CREATE TABLE accounts (
	id TEXT NOT NULL, 
	name TEXT, 
	state TEXT DEFAULT 'active' NOT NULL, 
	merged_into TEXT, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "accounts" VALUES('acc_0e8cd596aefe14804c1d','Nimbus Travel 4','active',NULL,1795219201001,1795219201001);
INSERT INTO "accounts" VALUES('acc_7dcdeec2b93bf5ca9e9a','Cinder Studios 3','active',NULL,1795219201001,1795219201001);
INSERT INTO "accounts" VALUES('acc_142c450a4c629aca790e','Jørgen 客 GmbH','active',NULL,1795219201001,1795222801001);
INSERT INTO "accounts" VALUES('acc_201ca7ee8fdeebac6697','Orchard Energy 2','active',NULL,1795219201001,1795219201001);
INSERT INTO "accounts" VALUES('acc_aee3f99a969a28ad9b51','Harbor Gardens 5','active',NULL,1795219201001,1795219201001);
INSERT INTO "accounts" VALUES('acc_85bb956eac201ca1b48b','Willow Freight 1','active',NULL,1795219201001,1795219201001);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001_initial');
CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	subject_digest TEXT NOT NULL, 
	body_digest TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	PRIMARY KEY (seq)
)
 STRICT

;
INSERT INTO "audit" VALUES(1,1795222801001,'effect.planned','c2b45021af0dde7c525d54287b5568e28bbc9a26431f52619b1eb628328ded85','37573c8d91e1afe9533d31e1d9f036e1e1f9f4530a497307d61edb096188e6af','0000000000000000000000000000000000000000000000000000000000000000','d8c3689117f81f4ba1c8f9b5dd2e6de175c849387b0fe67296812a34e745d2a1');
INSERT INTO "audit" VALUES(2,1795222801001,'effect.planned','0a7e6e5c1fccccdb2346c910933a0fb8b6b4d8d7a555d9a2d1499d269105695c','3ce0d9ddc7d1103f097149c7b2202403acc82568dcc5371792517de308ef12a9','d8c3689117f81f4ba1c8f9b5dd2e6de175c849387b0fe67296812a34e745d2a1','4ad4ce20c26611060ecfce67d744448905c9ce70ce0066259c58f194e6a84b1e');
INSERT INTO "audit" VALUES(3,1795222801001,'effect.planned','bad3df3edb05d39fbe01ea3df669a53bbd803feb20599d19794641c3d760aa09','a694fc507c7dc7bcc5955595d96ba2317f9c1488dba62287d1a424081e2abc27','4ad4ce20c26611060ecfce67d744448905c9ce70ce0066259c58f194e6a84b1e','16f19e5488f2d6810b2cfb6b2d2898c689c100718a6a33813f8824a677feeb03');
INSERT INTO "audit" VALUES(4,1795222801001,'effect.planned','60d59073b60ac793772f641bcbf4f62102d8164eb692adf1ccbc7e0c1798344a','7c2ec018cd7efc784547629465ebfa8c9414431e9fc8d1a3cc4e6c0806081317','16f19e5488f2d6810b2cfb6b2d2898c689c100718a6a33813f8824a677feeb03','01a75842e61646c8a4bc8e4621c68001abfc1501fb834b925c4a3e54465782e0');
INSERT INTO "audit" VALUES(5,1795222801001,'effect.planned','ac6eb7f19a6456548516c4b9fcb4cfd2628e7d6e9853f3abb699ebb012b62b04','434acab147e45baf1b6b47015a43d496b20d1b47d97e25b8a4d82b6e419e76c1','01a75842e61646c8a4bc8e4621c68001abfc1501fb834b925c4a3e54465782e0','f3b35ec29c6ecb792672f2cfe23a7812712f2d7d60cd823406f63eea16c0ad74');
INSERT INTO "audit" VALUES(6,1795222801001,'effect.superseded','71c464ec40b8f6fbccd5269b2461639d25e05719c9df02105085a19b35975777','bcf34acbab3d52fa39dd62795d79669af09f16a36ea9e6201a063f48a8354104','f3b35ec29c6ecb792672f2cfe23a7812712f2d7d60cd823406f63eea16c0ad74','62a74a3a3834e79d89e62160a717efffc1de1ef580e4bbe4201d67e9eaa7327e');
INSERT INTO "audit" VALUES(7,1795222801001,'effect.sending','baba995c4d4ce9126398688f190d62771ea1a93d9eb7a5d3149d5b50d0f0e288','a069459fcd91f72c3342708d1c70814a4fb731fca50979fa85c272b88e802e54','62a74a3a3834e79d89e62160a717efffc1de1ef580e4bbe4201d67e9eaa7327e','d7680e704680bcde7b427c4ab98aaaf66d6d3e2ab59d01438121d9392f9dff9f');
INSERT INTO "audit" VALUES(8,1795222801001,'effect.sending','e6c83acc9bb31126e5a799c223aa967ddef08cacd3885019acf459759dca0bb4','7c15cf4f2546b407a3438d4cf6ad4a16db85f77dd85e9c43f797c2fb8e58f7fb','d7680e704680bcde7b427c4ab98aaaf66d6d3e2ab59d01438121d9392f9dff9f','b261bc4e752fb6bd2b21f06908b2fc21c5242ad69434b017f86fa0117ac88a74');
INSERT INTO "audit" VALUES(9,1795222801001,'effect.done','a1b24319272ace4d21f5784129b392d75bec6a8f32cb1ce6644bae67d62052d0','fc85cf15f33f2e66a0720bc1ea59cee69d13fe66fd428912c9792a57976b756c','b261bc4e752fb6bd2b21f06908b2fc21c5242ad69434b017f86fa0117ac88a74','609ef7fb795100e2fd862a95157e224d07e66d3d8a83bca55eedaaaf6ada31fe');
INSERT INTO "audit" VALUES(10,1795222801001,'effect.done','c3cef2ee696aa938525eb673e94544fd5b64eb8c372263330802d9da0cfe4d8d','2b8b6a6742a077fb841645cf226fb3f0f2aba11837ba8a67cd0f34e2a11c5fa0','609ef7fb795100e2fd862a95157e224d07e66d3d8a83bca55eedaaaf6ada31fe','9235b9c89cc8a04124d63c620ec34ae0a3871ee0b5ea05c94d132ce4e5be5caa');
INSERT INTO "audit" VALUES(11,1795309201001,'effect.planned','17afe035cf90d2d6bcb7689be7b9e42c8b4ccc5ee35354dd044ff68d3ef37291','8e6b894075bed4efe8636f36335c94616db9880ee4bcc8d878aa544cd34baea4','9235b9c89cc8a04124d63c620ec34ae0a3871ee0b5ea05c94d132ce4e5be5caa','2c3f448b0dc9547620eb5c867341b01a7f47ad353cbd7fc9a0a9b811aac6e87f');
INSERT INTO "audit" VALUES(12,1795309201001,'effect.planned','ee2516803839f020b7151b8d68e794302dcc4c5e011621636e6467d554e2ad36','c1b916855f2e5b455305f7945c34532715885f7335863457af6be3dafe2d77c1','2c3f448b0dc9547620eb5c867341b01a7f47ad353cbd7fc9a0a9b811aac6e87f','106b54f02436edfa632a1aaf868791da9f5571fe92b561d27ec935de7d1362f2');
INSERT INTO "audit" VALUES(13,1795309201001,'effect.planned','5b5564d7f678e2469520d422d7e4ed2167c59060d77890863b1563111d68cc63','05faa1205b48c44fdcdb64e3264c84dbaf8576220aa10ae449246ff33f6701bd','106b54f02436edfa632a1aaf868791da9f5571fe92b561d27ec935de7d1362f2','e4bc2643677fa2128a16225a948faaa327992622f0e81f9f99ee5045b82ed33d');
INSERT INTO "audit" VALUES(14,1795309201001,'effect.planned','ab7dc04aa008f0f50d06bf6fefb5aa66bd15ff9db5d22ba716c4eb654927a35c','73354c7e6935e34e8490885633ac9e3d6d6ee657617a8b26eec91ee2a19b040a','e4bc2643677fa2128a16225a948faaa327992622f0e81f9f99ee5045b82ed33d','9557935adc24028edeac6e06dc0544a5a8f7fa568adb1fe1fcee234e98c3b10c');
INSERT INTO "audit" VALUES(15,1795309201001,'effect.planned','ea3a12f26164e9da694df39dcc8df15e362aa5d019e58222a7023975c779e66d','70ed4bc9b5e91b5f546e7d29c5e6fa6a33c995f63288b929e5d2d09336dc6363','9557935adc24028edeac6e06dc0544a5a8f7fa568adb1fe1fcee234e98c3b10c','f096041a6416db2336cb1dbf5cd45d6aad8c8b9c3292d426a92062db6f325eba');
INSERT INTO "audit" VALUES(16,1795309201001,'effect.superseded','a0a631b8ef446806be210dbdb298701717a871f8430e4cbaa2e2426a41a27036','50a97766fb014e4abfe5ef1884f31d42a53d78a6ff5ff2c4d618e7739d5f9f5a','f096041a6416db2336cb1dbf5cd45d6aad8c8b9c3292d426a92062db6f325eba','228f19c5abbb4c9372eada5c99063fdc1db324defc278e3af80941bc204794d1');
INSERT INTO "audit" VALUES(17,1795309201001,'effect.sending','542373991ba79c74a895ff130dbbd2dc4ee06c91253a4b39b795794554f5a3bf','976ac97d2c593299dcc02d8c5c6cf0ea881e7334844afa8d71d000995a7264f6','228f19c5abbb4c9372eada5c99063fdc1db324defc278e3af80941bc204794d1','8a71ef76e88dfa7f96718f0bf753d74bdca63087bb11086ec609d87f81116998');
INSERT INTO "audit" VALUES(18,1795309201001,'effect.sending','04f42fbb580ff399e6d0ffb3f66fa440e31c3df49b183e7a29bf6fefe4671974','c59015420bb2e11d9f6d90ccc7afefe9364b6161e81d3c71af42d20aa9edbc91','8a71ef76e88dfa7f96718f0bf753d74bdca63087bb11086ec609d87f81116998','7d37313dd3c1bdc3e64a80e893732dec4bad49b6b5072f25f988baf27e715142');
INSERT INTO "audit" VALUES(19,1795309201001,'effect.done','a6b07f9dac26914b8489162a309f57c6858a6d619efff46e596ca99f3220451a','5d93fb48f49383258fcf7d7e202684802946ecfc6cc1611e0df17a6646d6a1cd','7d37313dd3c1bdc3e64a80e893732dec4bad49b6b5072f25f988baf27e715142','5b1eceb830bcd1e0e4ac7fb93bf99fec3cd7ea37dae8924b5ead21229d631b64');
INSERT INTO "audit" VALUES(20,1795309201001,'effect.done','739190373c7c6bd1a1ad6e4d59ba92b4fd7baea07e147e05b9f5cd0f4ec1a5ac','079e050717963e5d9c92767dc4d02bb2d187cf5f4964eb7188bfd74ccbcdc870','5b1eceb830bcd1e0e4ac7fb93bf99fec3cd7ea37dae8924b5ead21229d631b64','1f50d697237df2230dbac1afa88fb2395cca8317ae8154d4b149ee82d995f4f7');
CREATE TABLE audit_bodies (
	seq INTEGER NOT NULL, 
	subject TEXT NOT NULL, 
	salt TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(seq) REFERENCES audit (seq)
)
 STRICT

;
INSERT INTO "audit_bodies" VALUES(1,'acc_7dcdeec2b93bf5ca9e9a','5895323e0b78ccf0199597ea0e9d017b','{"capability":"message.send","effect":"playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0","kind":"message","note":"not counted yet","policy":"playbooks/trouble","policy_version":"1","reason":"trouble: failing_invoices: 1","run":"20261121T010001-2","state":"held"}');
INSERT INTO "audit_bodies" VALUES(2,'acc_7dcdeec2b93bf5ca9e9a','40824e8bf06d62c1f3427511d3131a23','{"capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_8QnKZQVSReEkX2/20261121T010001-2","kind":"state","note":"not counted yet","policy":"push/stripe","policy_version":"1","reason":"[[push]] keeps wellkept_health at stripe up to date","run":"20261121T010001-2","state":"held"}');
INSERT INTO "audit_bodies" VALUES(3,'acc_7dcdeec2b93bf5ca9e9a','f7ed134ef434d6ef402f4ab8880edce0','{"before":"held","capability":"message.send","effect":"playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0","kind":"message","note":null,"run":"20261121T010001-2"}');
INSERT INTO "audit_bodies" VALUES(4,'acc_7dcdeec2b93bf5ca9e9a','0a82aeeb010ae10eecdf013452f45a4b','{"before":"held","capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_8QnKZQVSReEkX2/20261121T010001-2","kind":"state","note":null,"run":"20261121T010001-2"}');
INSERT INTO "audit_bodies" VALUES(5,'acc_7dcdeec2b93bf5ca9e9a','369ab53a733a41b3137f5129765c8995','{"capability":"message.send","effect":"playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0/team:ffebf89b95821210796d952faea890f6","kind":"message","note":null,"policy":"playbooks/trouble","policy_version":"1","reason":"trouble: failing_invoices: 1","run":"20261121T010001-2","state":"planned"}');
INSERT INTO "audit_bodies" VALUES(6,'acc_7dcdeec2b93bf5ca9e9a','da46e25001e04ede19b598f1a1276262','{"before":"planned","capability":"message.send","effect":"playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0","kind":"message","note":"one for each of 1 in the team","run":"20261121T010001-2"}');
INSERT INTO "audit_bodies" VALUES(7,'acc_7dcdeec2b93bf5ca9e9a','cf83845ef252eeeb60d8ac77f884abab','{"before":"planned","capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_8QnKZQVSReEkX2/20261121T010001-2","kind":"state","note":null,"run":"20261121T010001-2"}');
INSERT INTO "audit_bodies" VALUES(8,'acc_7dcdeec2b93bf5ca9e9a','4b1c6aa345d9f04ce42300e82741769e','{"before":"planned","capability":"message.send","effect":"playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0/team:ffebf89b95821210796d952faea890f6","kind":"message","note":null,"run":"20261121T010001-2"}');
INSERT INTO "audit_bodies" VALUES(9,'acc_7dcdeec2b93bf5ca9e9a','a85029ffaefb569d896c84a1d088ac1f','{"before":"sending","capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_8QnKZQVSReEkX2/20261121T010001-2","kind":"state","note":null,"run":"20261121T010001-2"}');
INSERT INTO "audit_bodies" VALUES(10,'acc_7dcdeec2b93bf5ca9e9a','66b9afe3eacc85e36453dae2491a265c','{"before":"sending","capability":"message.send","effect":"playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0/team:ffebf89b95821210796d952faea890f6","kind":"message","note":null,"run":"20261121T010001-2"}');
INSERT INTO "audit_bodies" VALUES(11,'acc_0e8cd596aefe14804c1d','65c21ad8a4854c31eb460ea366529013','{"capability":"message.send","effect":"playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0","kind":"message","note":"not counted yet","policy":"playbooks/trouble","policy_version":"1","reason":"trouble: failing_invoices: 1","run":"20261122T010001-3","state":"held"}');
INSERT INTO "audit_bodies" VALUES(12,'acc_0e8cd596aefe14804c1d','7c8d4be8b3ce5ec5eb265be08e61bd21','{"capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_Tj0woPIq7zJMsE/20261122T010001-3","kind":"state","note":"not counted yet","policy":"push/stripe","policy_version":"1","reason":"[[push]] keeps wellkept_health at stripe up to date","run":"20261122T010001-3","state":"held"}');
INSERT INTO "audit_bodies" VALUES(13,'acc_0e8cd596aefe14804c1d','29a1ba6b25b5bccc4229ef49a91625da','{"before":"held","capability":"message.send","effect":"playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0","kind":"message","note":null,"run":"20261122T010001-3"}');
INSERT INTO "audit_bodies" VALUES(14,'acc_0e8cd596aefe14804c1d','c99db022c319348433c0d1103f9d8ba5','{"before":"held","capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_Tj0woPIq7zJMsE/20261122T010001-3","kind":"state","note":null,"run":"20261122T010001-3"}');
INSERT INTO "audit_bodies" VALUES(15,'acc_0e8cd596aefe14804c1d','e7c1bc62dac3aa01c0e3b43f279bbffc','{"capability":"message.send","effect":"playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0/team:ffebf89b95821210796d952faea890f6","kind":"message","note":null,"policy":"playbooks/trouble","policy_version":"1","reason":"trouble: failing_invoices: 1","run":"20261122T010001-3","state":"planned"}');
INSERT INTO "audit_bodies" VALUES(16,'acc_0e8cd596aefe14804c1d','7280462057678052f8f0e74a6dc88457','{"before":"planned","capability":"message.send","effect":"playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0","kind":"message","note":"one for each of 1 in the team","run":"20261122T010001-3"}');
INSERT INTO "audit_bodies" VALUES(17,'acc_0e8cd596aefe14804c1d','cd2147055f7bb32c08ce808d76f59404','{"before":"planned","capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_Tj0woPIq7zJMsE/20261122T010001-3","kind":"state","note":null,"run":"20261122T010001-3"}');
INSERT INTO "audit_bodies" VALUES(18,'acc_0e8cd596aefe14804c1d','379035c19905837a51e9b9a43d6aa132','{"before":"planned","capability":"message.send","effect":"playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0/team:ffebf89b95821210796d952faea890f6","kind":"message","note":null,"run":"20261122T010001-3"}');
INSERT INTO "audit_bodies" VALUES(19,'acc_0e8cd596aefe14804c1d','2eea45ce08e54823b198ac2679585a90','{"before":"sending","capability":"score.push","effect":"push/stripe/score.push/stripe:account:cus_Tj0woPIq7zJMsE/20261122T010001-3","kind":"state","note":null,"run":"20261122T010001-3"}');
INSERT INTO "audit_bodies" VALUES(20,'acc_0e8cd596aefe14804c1d','685ba822f118b0ddbca9f2168344582b','{"before":"sending","capability":"message.send","effect":"playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0/team:ffebf89b95821210796d952faea890f6","kind":"message","note":null,"run":"20261122T010001-3"}');
CREATE TABLE changes (
	seq INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	instance TEXT NOT NULL, 
	id TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (seq)
)
 STRICT

;
CREATE TABLE configs (
	digest TEXT NOT NULL, 
	body TEXT NOT NULL, 
	first_at INTEGER NOT NULL, 
	PRIMARY KEY (digest)
)
 STRICT

;
INSERT INTO "configs" VALUES('acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8','{"columns":{"active_days_28d":{"currency":null,"doc":"Days of 28 with any use.","name":"active_days_28d","unit":"count"},"active_days_before_84d":{"currency":null,"doc":"Days with any use in the 84 days before the last 28: the account''s own rhythm.","name":"active_days_before_84d","unit":"count"},"active_subscriptions":{"currency":null,"doc":"Subscriptions that have not ended.","name":"active_subscriptions","unit":"count"},"cancelling":{"currency":null,"doc":"A running subscription is set to end.","name":"cancelling","unit":"flag"},"cancels_at":{"currency":null,"doc":"When the first of the running subscriptions ends that are set to.","name":"cancels_at","unit":"date"},"card_expired_days":{"currency":null,"doc":"Days since the last one on which the default card was good; negative while it is good.","name":"card_expired_days","unit":"days"},"card_expires_on":{"currency":null,"doc":"The last day on which the default card is good.","name":"card_expires_on","unit":"date"},"csat_age_days":{"currency":null,"doc":"Days since the last CSAT answer.","name":"csat_age_days","unit":"days"},"csat_high":{"currency":null,"doc":"CSAT answers of two years: the high end of the scale.","name":"csat_high","unit":"points"},"csat_low":{"currency":null,"doc":"CSAT answers of two years: the low end of the scale.","name":"csat_low","unit":"points"},"csat_score":{"currency":null,"doc":"CSAT answers of two years: the average.","name":"csat_score","unit":"points"},"days_failing":{"currency":null,"doc":"Age of the oldest invoice that could not be collected.","name":"days_failing","unit":"days"},"days_past_due":{"currency":null,"doc":"Days since the oldest invoice was due that the customer has not paid.","name":"days_past_due","unit":"days"},"days_since_use":{"currency":null,"doc":"Days since the last one with any use.","name":"days_since_use","unit":"days"},"events_28d":{"currency":null,"doc":"Events in 28 days.","name":"events_28d","unit":"count"},"events_before_28d":{"currency":null,"doc":"Events in the 28 days before those.","name":"events_before_28d","unit":"count"},"failed_payments_30d":{"currency":null,"doc":"Tries to collect money that failed in 30 days.","name":"failed_payments_30d","unit":"count"},"failing_amount":{"currency":"usd","doc":"What is open on invoices that could not be collected. All currencies, converted to USD.","name":"failing_amount","unit":"money"},"failing_invoices":{"currency":null,"doc":"Open invoices that could not be collected.","name":"failing_invoices","unit":"count"},"late_amount":{"currency":"usd","doc":"What is open on invoices that the customer has not paid in time. All currencies, converted to USD.","name":"late_amount","unit":"money"},"late_invoices":{"currency":null,"doc":"Open invoices that the customer has not paid in time.","name":"late_invoices","unit":"count"},"manual_invoices_365d":{"currency":null,"doc":"Invoices of a year that the customer pays by themselves.","name":"manual_invoices_365d","unit":"count"},"mrr":{"currency":"usd","doc":"Monthly recurring revenue. All currencies, converted to USD.","name":"mrr","unit":"money"},"nps_age_days":{"currency":null,"doc":"Days since the last NPS answer.","name":"nps_age_days","unit":"days"},"nps_high":{"currency":null,"doc":"NPS answers of two years: the high end of the scale.","name":"nps_high","unit":"points"},"nps_low":{"currency":null,"doc":"NPS answers of two years: the low end of the scale.","name":"nps_low","unit":"points"},"nps_score":{"currency":null,"doc":"NPS answers of two years: the average.","name":"nps_score","unit":"points"},"open_tickets":{"currency":null,"doc":"Tickets without a solution.","name":"open_tickets","unit":"count"},"past_due_subscriptions":{"currency":null,"doc":"Subscriptions whose last invoice could not be collected.","name":"past_due_subscriptions","unit":"count"},"paused_subscriptions":{"currency":null,"doc":"Subscriptions that are paused.","name":"paused_subscriptions","unit":"count"},"payment_methods":{"currency":null,"doc":"Payment methods on file.","name":"payment_methods","unit":"count"},"reopens_28d":{"currency":null,"doc":"How often tickets of 28 days were opened again.","name":"reopens_28d","unit":"count"},"seats_active":{"currency":null,"doc":"People who used the product in 28 days.","name":"seats_active","unit":"count"},"seats_bought":{"currency":null,"doc":"Seats that running subscriptions pay for.","name":"seats_bought","unit":"count"},"subscriptions":{"currency":null,"doc":"Subscriptions, ended ones included.","name":"subscriptions","unit":"count"},"survey_churn_intent_90d":{"currency":null,"doc":"An answer of 90 days says that the customer wants to leave.","name":"survey_churn_intent_90d","unit":"flag"},"tenure_days":{"currency":null,"doc":"Days since a vendor first knew the account.","name":"tenure_days","unit":"days"},"ticket_churn_intent_60d":{"currency":null,"doc":"A ticket of 60 days says that the customer wants to leave.","name":"ticket_churn_intent_60d","unit":"flag"},"tickets_28d":{"currency":null,"doc":"Tickets of 28 days.","name":"tickets_28d","unit":"count"},"tickets_before_84d":{"currency":null,"doc":"Tickets of the 84 days before those.","name":"tickets_before_84d","unit":"count"},"touches_90d":{"currency":null,"doc":"What the customer did with our mail and pages in 90 days: opened, clicked, visited.","name":"touches_90d","unit":"count"},"uncollectible_invoices_90d":{"currency":null,"doc":"Invoices of 90 days that were given up.","name":"uncollectible_invoices_90d","unit":"count"}},"config":{},"scorer":"health","version":"1"}',1795219201001);
CREATE TABLE conflicts (
	seq INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	closed_at INTEGER, 
	PRIMARY KEY (seq), 
	UNIQUE (kind, subject)
)
 STRICT

;
CREATE TABLE cursors (
	instance TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	cursor TEXT, 
	generation INTEGER DEFAULT '0' NOT NULL, 
	full_since INTEGER, 
	complete_at INTEGER, 
	fresh_at INTEGER, 
	full_rows INTEGER DEFAULT '0' NOT NULL, 
	full_unknown INTEGER DEFAULT '0' NOT NULL, 
	full_wanted TEXT, 
	anomaly TEXT, 
	updated_at INTEGER NOT NULL, 
	PRIMARY KEY (instance, stream, scope)
)
 STRICT

;
INSERT INTO "cursors" VALUES('stripe','invoices','live','{"full_at":1795219200000,"mode":"events","seen":["1uAzmBziKAsa","huFI7qhJogaK","KVNaWqt1T2kM","MBV7qFMJINKW"],"since":1795309201}',1,NULL,1795219200000,1795309201001,11,0,NULL,NULL,1795309201001);
INSERT INTO "cursors" VALUES('stripe','customers','live','{"full_at":1795219200000,"mode":"events","seen":["hyrv0iJgi7eS"],"since":1795309201}',1,NULL,1795219200000,1795309201001,12,0,NULL,NULL,1795309201001);
INSERT INTO "cursors" VALUES('stripe','payment_methods','live','{"full_at":1795219200000,"mode":"events","seen":["hyrv0iJgi7eS"],"since":1795309201}',1,NULL,1795219200000,1795309201001,6,0,NULL,NULL,1795309201001);
INSERT INTO "cursors" VALUES('stripe','products','live','{"full_at":1795219200000,"mode":"events","since":1795309201}',1,NULL,1795219200100,1795309201001,4,0,NULL,NULL,1795309201001);
INSERT INTO "cursors" VALUES('stripe','prices','live','{"full_at":1795219200100,"mode":"events","since":1795309201}',1,NULL,1795219200100,1795309201001,56,0,NULL,NULL,1795309201001);
INSERT INTO "cursors" VALUES('stripe','subscriptions','live','{"full_at":1795219201001,"mode":"events","seen":["RHprAPJ7lxWI","bS6NJePkDPgd"],"since":1795309201}',1,NULL,1795219201001,1795309201001,6,0,NULL,NULL,1795309201001);
INSERT INTO "cursors" VALUES('stripe','payment_attempts','live','{"full_at":1795219201001,"mode":"events","seen":["0rVY2ColBfer","q08YBOdH5bGN"],"since":1795309201}',1,NULL,1795219201001,1795309201001,12,0,NULL,NULL,1795309201001);
CREATE TABLE dead_letters (
	seq INTEGER NOT NULL, 
	instance TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	record_id TEXT, 
	digest TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	raw BLOB NOT NULL, 
	state TEXT DEFAULT 'open' NOT NULL, 
	first_at INTEGER NOT NULL, 
	last_at INTEGER NOT NULL, 
	count INTEGER DEFAULT '1' NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (instance, stream, digest)
)
 STRICT

;
CREATE TABLE dirty_accounts (
	account TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (account)
)
 STRICT

;
CREATE TABLE effect_subjects (
	"key" TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	PRIMARY KEY ("key")
)
 STRICT

;
INSERT INTO "effect_subjects" VALUES('playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0','acc_7dcdeec2b93bf5ca9e9a');
INSERT INTO "effect_subjects" VALUES('playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0','acc_0e8cd596aefe14804c1d');
CREATE TABLE fact_queue (
	seq INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	instance TEXT NOT NULL, 
	id TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (seq)
)
 STRICT

;
CREATE TABLE frame_rows (
	account TEXT NOT NULL, 
	as_of TEXT NOT NULL, 
	measured_at INTEGER NOT NULL, 
	cells TEXT NOT NULL, 
	gaps TEXT NOT NULL, 
	PRIMARY KEY (account)
)
 STRICT

;
INSERT INTO "frame_rows" VALUES('acc_0e8cd596aefe14804c1d','2026-11-22',1795309201001,'{"owner_known":false,"tenure_days":735,"country":"ES","mrr_gbp":14700,"subscriptions":1,"active_subscriptions":1,"past_due_subscriptions":1,"paused_subscriptions":0,"cancelling":false,"seats_bought":21,"failed_payments_30d":1,"failing_invoices":1,"failing_amount_gbp":14700,"days_failing":0,"late_invoices":0,"late_amount":0,"uncollectible_invoices_90d":0,"manual_invoices_365d":0,"payment_methods":1,"card_expires_on":1801353600000,"card_expired_days":-70}','{"mrr":"no_rate","failing_amount":"no_rate"}');
INSERT INTO "frame_rows" VALUES('acc_142c450a4c629aca790e','2026-11-22',1795309201001,'{"owner_known":false,"tenure_days":383,"country":"FR","mrr_gbp":4500,"subscriptions":1,"active_subscriptions":1,"past_due_subscriptions":0,"paused_subscriptions":0,"cancelling":false,"seats_bought":3,"failed_payments_30d":0,"failing_invoices":0,"failing_amount":0,"late_invoices":0,"late_amount":0,"uncollectible_invoices_90d":0,"manual_invoices_365d":0,"payment_methods":1,"card_expires_on":1811721600000,"card_expired_days":-190}','{"mrr":"no_rate"}');
INSERT INTO "frame_rows" VALUES('acc_201ca7ee8fdeebac6697','2026-11-22',1795309201001,'{"owner_known":false,"tenure_days":373,"country":"US","mrr_usd":38400,"mrr":38400,"subscriptions":1,"active_subscriptions":1,"past_due_subscriptions":1,"paused_subscriptions":0,"cancelling":false,"seats_bought":16,"failed_payments_30d":1,"failing_invoices":1,"failing_amount_usd":38400,"failing_amount":38400,"days_failing":8,"late_invoices":0,"late_amount":0,"uncollectible_invoices_90d":0,"manual_invoices_365d":0,"payment_methods":1,"card_expires_on":1924905600000,"card_expired_days":-1500}','{}');
INSERT INTO "frame_rows" VALUES('acc_7dcdeec2b93bf5ca9e9a','2026-11-22',1795309201001,'{"owner_known":false,"tenure_days":602,"country":"ES","mrr_usd":12750,"mrr":12750,"subscriptions":1,"active_subscriptions":1,"past_due_subscriptions":1,"paused_subscriptions":0,"cancelling":false,"seats_bought":17,"failed_payments_30d":1,"failing_invoices":1,"failing_amount_usd":153000,"failing_amount":153000,"days_failing":1,"late_invoices":0,"late_amount":0,"uncollectible_invoices_90d":0,"manual_invoices_365d":0,"payment_methods":1,"card_expires_on":1822262400000,"card_expired_days":-312}','{}');
INSERT INTO "frame_rows" VALUES('acc_85bb956eac201ca1b48b','2026-11-22',1795309201001,'{"owner_known":false,"tenure_days":250,"country":"ES","mrr_jpy":13500,"subscriptions":1,"active_subscriptions":1,"past_due_subscriptions":0,"paused_subscriptions":0,"cancelling":false,"seats_bought":10,"failed_payments_30d":0,"failing_invoices":0,"failing_amount":0,"late_invoices":0,"late_amount":0,"uncollectible_invoices_90d":0,"manual_invoices_365d":0,"payment_methods":1,"card_expires_on":1880150400000,"card_expired_days":-982}','{"mrr":"no_rate"}');
INSERT INTO "frame_rows" VALUES('acc_aee3f99a969a28ad9b51','2026-11-22',1795309201001,'{"owner_known":false,"tenure_days":317,"country":"GB","mrr_eur":1750,"subscriptions":1,"active_subscriptions":1,"past_due_subscriptions":0,"paused_subscriptions":0,"cancelling":false,"seats_bought":1,"failed_payments_30d":0,"failing_invoices":0,"failing_amount":0,"late_invoices":0,"late_amount":0,"uncollectible_invoices_90d":0,"manual_invoices_365d":0,"payment_methods":1,"card_expires_on":1924905600000,"card_expired_days":-1500}','{"mrr":"no_rate"}');
CREATE TABLE h_account ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "name" TEXT, "external_id" TEXT, "email" TEXT, "phone" TEXT, "domains" TEXT, "parent_ref" TEXT, "owner_ref" TEXT, "locale" TEXT, "country" TEXT, "segment" TEXT, "seats_bought" INTEGER, "created_at" INTEGER, PRIMARY KEY (instance, id, version, observed_at)) STRICT;
INSERT INTO "h_account" VALUES('stripe','cus_8QnKZQVSReEkX2','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'6C43571104A922CCB2E5C4BA1C7059AF','{"account_id":"acct-0003","stripe_delinquent":false}','Cinder Studios 3','acct-0003','billing@cinder-studios-3.example',NULL,'[]',NULL,NULL,'es-ES','ES',NULL,NULL,1743320143000);
INSERT INTO "h_account" VALUES('stripe','cus_Rs0gJeKPUq9VyZ','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'F649D114AFE8E3FD893C09C0BA9C31EC','{"account_id":"acct-0006","stripe_delinquent":false}','Ember Labs 6','acct-0006','billing@ember-labs-6.example',NULL,'[]',NULL,NULL,'fr-FR','FR',NULL,NULL,1762227334000);
INSERT INTO "h_account" VALUES('stripe','cus_8QnKZQVSReEkX2','customers',1795222801000,1795222801000,0,1795222801001,1795222801000,X'47F8F2828BFF9308668F1317CF157848','{"account_id":"acct-0003","stripe_delinquent":true}','Cinder Studios 3','acct-0003','billing@cinder-studios-3.example',NULL,'[]',NULL,NULL,'es-ES','ES',NULL,NULL,1743320143000);
INSERT INTO "h_account" VALUES('stripe','cus_Tj0woPIq7zJMsE','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'DEB0C6DECB8AD055B4B08FBC8C93FDAC','{"account_id":"acct-0004","stripe_delinquent":false}','Nimbus Travel 4','acct-0004','billing@nimbus-travel-4.example',NULL,'[]',NULL,NULL,'es-ES','ES',NULL,NULL,1731834344000);
CREATE TABLE h_invoice ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "status" TEXT, "currency" TEXT, "amount_due" INTEGER, "amount_paid" INTEGER, "amount_remaining" INTEGER, "subscription_ref" TEXT, "number" TEXT, "billing_reason" TEXT, "collection" TEXT, "attempt_count" INTEGER, "next_attempt_at" INTEGER, "due_at" INTEGER, "created_at" INTEGER, "finalized_at" INTEGER, "paid_at" INTEGER, PRIMARY KEY (instance, id, version, observed_at)) STRICT;
CREATE TABLE h_payment_attempt ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "invoice_ref" TEXT, "payment_method_ref" TEXT, "status" TEXT, "currency" TEXT, "amount" INTEGER, "attempted_at" INTEGER, "decline_code" TEXT, "network_code" TEXT, "advice_code" TEXT, "failure_code" TEXT, PRIMARY KEY (instance, id, version, observed_at)) STRICT;
CREATE TABLE h_payment_method ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "kind" TEXT, "brand" TEXT, "last4" TEXT, "fingerprint" TEXT, "expires_on" TEXT, "is_default" INTEGER, PRIMARY KEY (instance, id, version, observed_at)) STRICT;
CREATE TABLE h_subscription ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "status" TEXT, "currency" TEXT, "mrr" INTEGER, "plan" TEXT, "quantity" INTEGER, "interval" TEXT, "interval_count" INTEGER, "started_at" INTEGER, "trial_end_at" INTEGER, "period_start_at" INTEGER, "period_end_at" INTEGER, "cancel_at_period_end" INTEGER, "cancel_at" INTEGER, "canceled_at" INTEGER, "ended_at" INTEGER, "end_reason" TEXT, "payment_method_ref" TEXT, PRIMARY KEY (instance, id, version, observed_at)) STRICT;
INSERT INTO "h_subscription" VALUES('stripe','sub_1baQyGka1x5mlhw6eYPcTFgq','subscriptions',1795219200000,NULL,0,1795219201001,1795219201001,X'816F20A9DF2DA9D8BA2D6021CB8DD229','{"stripe_price":"price_18iNqlFKvkDtHhSfH8eNXaNf","stripe_product":"prod_XQOgBi8GdGOKWV"}','cus_8QnKZQVSReEkX2','active','usd',12750,'Team',17,'year',1,1743320143000,NULL,1774856143000,1806392143000,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "h_subscription" VALUES('stripe','sub_1l7ISUicTU796JBFgmbzYL3N','subscriptions',1795219200000,NULL,0,1795219201001,1795219201001,X'F6946602F07F6AD837BDC3D49FE632EA','{"stripe_price":"price_11Fl6G0yTGBsuaLmg09KBbjg","stripe_product":"prod_XQOgBi8GdGOKWV"}','cus_Tj0woPIq7zJMsE','active','gbp',14700,'Team',21,'month',1,1731834344000,NULL,1794906344000,1797498344000,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE h_task ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "owner_ref" TEXT, "title" TEXT, "status" TEXT, "outcome" TEXT, "due_at" INTEGER, "created_at" INTEGER, "completed_at" INTEGER, PRIMARY KEY (instance, id, version, observed_at)) STRICT;
CREATE TABLE h_ticket ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "person_ref" TEXT, "status" TEXT, "created_at" INTEGER, "subject" TEXT, "channel" TEXT, "priority" TEXT, "tags" TEXT, "solved_at" INTEGER, "first_reply_minutes" INTEGER, "first_reply_business_minutes" INTEGER, "resolution_minutes" INTEGER, "resolution_business_minutes" INTEGER, "pending_minutes" INTEGER, "reopens" INTEGER, "churn_intent" INTEGER, PRIMARY KEY (instance, id, version, observed_at)) STRICT;
CREATE TABLE holds (
	policy TEXT NOT NULL, 
	account TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (policy, account)
)
 STRICT

;
CREATE TABLE inbox (
	seq INTEGER NOT NULL, 
	instance TEXT NOT NULL, 
	hint_id TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	object_id TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	received_at INTEGER NOT NULL, 
	done_at INTEGER, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	not_before INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (instance, hint_id, stream, object_id)
)
 STRICT

;
CREATE TABLE instances (
	instance TEXT NOT NULL, 
	plugin TEXT NOT NULL, 
	vendor_account TEXT, 
	mode TEXT, 
	state TEXT DEFAULT 'ok' NOT NULL, 
	reason TEXT, 
	since INTEGER, 
	failures INTEGER DEFAULT '0' NOT NULL, 
	config_digest TEXT, 
	PRIMARY KEY (instance)
)
 STRICT

;
INSERT INTO "instances" VALUES('stripe','stripe','acct_1d3baa01d63357ef','test','ok',NULL,1795219200000,0,'29f47d0e2cf6f7a186c6cb6625471f75290d401fc93478cc51b9fd5630b12a9e');
INSERT INTO "instances" VALUES('smtp','smtp',NULL,NULL,'ok',NULL,1795219201001,0,'c14be0ef810aec740ddd187bc8fd9ec9620a381fd40b9ea4f52c3d28a2370b76');
CREATE TABLE limits (
	credential TEXT NOT NULL, 
	blocked_until INTEGER DEFAULT '0' NOT NULL, 
	state TEXT NOT NULL, 
	PRIMARY KEY (credential)
)
 STRICT

;
INSERT INTO "limits" VALUES('stripe',0,'{"held":[["",1795309201002,15],["e70339d306aa4c3ab682cfd94ae100aa.9",1795309202001,2]],"queue":[]}');
CREATE TABLE links (
	type TEXT NOT NULL, 
	instance TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	account TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (type, instance, record_id)
)
 STRICT

;
INSERT INTO "links" VALUES('account','stripe','cus_8QnKZQVSReEkX2','acc_7dcdeec2b93bf5ca9e9a','{"rule":"external_id","digest":"7dcdeec2b93bf5ca9e9a","since":1795219201001}',1795219201001);
INSERT INTO "links" VALUES('account','stripe','cus_Rs0gJeKPUq9VyZ','acc_142c450a4c629aca790e','{"rule":"external_id","digest":"142c450a4c629aca790e","since":1795219201001}',1795219201001);
INSERT INTO "links" VALUES('account','stripe','cus_Tj0woPIq7zJMsE','acc_0e8cd596aefe14804c1d','{"rule":"external_id","digest":"0e8cd596aefe14804c1d","since":1795219201001}',1795219201001);
INSERT INTO "links" VALUES('account','stripe','cus_V0LKKM4wDUsgpU','acc_85bb956eac201ca1b48b','{"rule":"external_id","digest":"85bb956eac201ca1b48b","since":1795219201001}',1795219201001);
INSERT INTO "links" VALUES('account','stripe','cus_cn6Bj5TecqxD57','acc_aee3f99a969a28ad9b51','{"rule":"external_id","digest":"aee3f99a969a28ad9b51","since":1795219201001}',1795219201001);
INSERT INTO "links" VALUES('account','stripe','cus_u49mpVA8ImZt7x','acc_201ca7ee8fdeebac6697','{"rule":"external_id","digest":"201ca7ee8fdeebac6697","since":1795219201001}',1795219201001);
INSERT INTO "links" VALUES('person','stripe','cus_Tj0woPIq7zJMsE','acc_0e8cd596aefe14804c1d','{"rule":"account_ref"}',1795219201001);
INSERT INTO "links" VALUES('person','stripe','cus_8QnKZQVSReEkX2','acc_7dcdeec2b93bf5ca9e9a','{"rule":"account_ref"}',1795219201001);
INSERT INTO "links" VALUES('person','stripe','cus_Rs0gJeKPUq9VyZ','acc_142c450a4c629aca790e','{"rule":"account_ref"}',1795219201001);
INSERT INTO "links" VALUES('person','stripe','cus_u49mpVA8ImZt7x','acc_201ca7ee8fdeebac6697','{"rule":"account_ref"}',1795219201001);
INSERT INTO "links" VALUES('person','stripe','cus_cn6Bj5TecqxD57','acc_aee3f99a969a28ad9b51','{"rule":"account_ref"}',1795219201001);
INSERT INTO "links" VALUES('person','stripe','cus_V0LKKM4wDUsgpU','acc_85bb956eac201ca1b48b','{"rule":"account_ref"}',1795219201001);
CREATE TABLE locks (
	name TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	epoch INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	PRIMARY KEY (name)
)
 STRICT

;
INSERT INTO "locks" VALUES('run','a-host:32356:2',3,0);
CREATE TABLE manual_links (
	a_instance TEXT NOT NULL, 
	a_id TEXT NOT NULL, 
	b_instance TEXT NOT NULL, 
	b_id TEXT NOT NULL, 
	relation TEXT NOT NULL, 
	author TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (a_instance, a_id, b_instance, b_id)
)
 STRICT

;
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
)
 STRICT

;
INSERT INTO "meta" VALUES('key_fingerprint','f535f1f7592159d54a7d6c18496946ac2cf89dc50991316f719fe172870f5c9e');
INSERT INTO "meta" VALUES('columns:r_account','{"type":"account","fields":{"extra":"json","name":"text","external_id":"text","email":"text","phone":"text","domains":"json","parent_ref":"text","owner_ref":"text","locale":"text","country":"text","segment":"text","seats_bought":"int","created_at":"int"}}');
INSERT INTO "meta" VALUES('columns:r_person','{"type":"person","fields":{"extra":"json","account_ref":"text","name":"text","email":"text","email_verified":"bool","phone":"text","roles":"json","locale":"text","time_zone":"text","marketing_consent":"bool","created_at":"int"}}');
INSERT INTO "meta" VALUES('columns:r_subscription','{"type":"subscription","fields":{"extra":"json","account_ref":"text","status":"text","currency":"text","mrr":"int","plan":"text","quantity":"int","interval":"text","interval_count":"int","started_at":"int","trial_end_at":"int","period_start_at":"int","period_end_at":"int","cancel_at_period_end":"bool","cancel_at":"int","canceled_at":"int","ended_at":"int","end_reason":"text","payment_method_ref":"text"}}');
INSERT INTO "meta" VALUES('columns:r_invoice','{"type":"invoice","fields":{"extra":"json","account_ref":"text","status":"text","currency":"text","amount_due":"int","amount_paid":"int","amount_remaining":"int","subscription_ref":"text","number":"text","billing_reason":"text","collection":"text","attempt_count":"int","next_attempt_at":"int","due_at":"int","created_at":"int","finalized_at":"int","paid_at":"int"}}');
INSERT INTO "meta" VALUES('columns:r_payment_attempt','{"type":"payment_attempt","fields":{"extra":"json","account_ref":"text","invoice_ref":"text","payment_method_ref":"text","status":"text","currency":"text","amount":"int","attempted_at":"int","decline_code":"text","network_code":"text","advice_code":"text","failure_code":"text"}}');
INSERT INTO "meta" VALUES('columns:r_payment_method','{"type":"payment_method","fields":{"extra":"json","account_ref":"text","kind":"text","brand":"text","last4":"text","fingerprint":"text","expires_on":"text","is_default":"bool"}}');
INSERT INTO "meta" VALUES('columns:r_ticket','{"type":"ticket","fields":{"extra":"json","account_ref":"text","person_ref":"text","status":"text","created_at":"int","subject":"text","channel":"text","priority":"text","tags":"json","solved_at":"int","first_reply_minutes":"int","first_reply_business_minutes":"int","resolution_minutes":"int","resolution_business_minutes":"int","pending_minutes":"int","reopens":"int","churn_intent":"bool"}}');
INSERT INTO "meta" VALUES('columns:r_usage','{"type":"usage","fields":{"extra":"json","subject":"text","account_ref":"text","person_ref":"text","event":"text","day":"text","count":"int"}}');
INSERT INTO "meta" VALUES('columns:r_survey_response','{"type":"survey_response","fields":{"extra":"json","account_ref":"text","person_ref":"text","kind":"text","score":"float","scale_min":"float","scale_max":"float","answered_at":"int","comment":"text","churn_intent":"bool"}}');
INSERT INTO "meta" VALUES('columns:r_touch','{"type":"touch","fields":{"extra":"json","account_ref":"text","person_ref":"text","kind":"text","channel":"text","campaign":"text","at":"int"}}');
INSERT INTO "meta" VALUES('columns:r_task','{"type":"task","fields":{"extra":"json","account_ref":"text","owner_ref":"text","title":"text","status":"text","outcome":"text","due_at":"int","created_at":"int","completed_at":"int"}}');
INSERT INTO "meta" VALUES('columns:r_timeline_event','{"type":"timeline_event","fields":{"extra":"json","account_ref":"text","kind":"text","text":"text","at":"int"}}');
INSERT INTO "meta" VALUES('columns:r_stripe_price','{"type":"stripe.price","fields":{"extra":"json","product_ref":"text","currency":"text","amount":"int","unit_amount_decimal":"text","billing_scheme":"text","tiers_mode":"text","tiers":"json","interval":"text","interval_count":"int","usage_type":"text","pack_of":"int","pack_rounding":"text","tax_behavior":"text","nickname":"text","lookup_key":"text","active":"bool","created_at":"int"}}');
INSERT INTO "meta" VALUES('columns:r_stripe_product','{"type":"stripe.product","fields":{"extra":"json","name":"text","active":"bool","unit_label":"text","created_at":"int"}}');
INSERT INTO "meta" VALUES('rates','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
INSERT INTO "meta" VALUES('measure_indexes','["measure_r_invoice_09f48e24","measure_r_payment_attempt_e66287ef","measure_r_payment_method_bf191841","measure_r_subscription_c4cd100b","measure_r_survey_response_a62ace54","measure_r_ticket_802c0ebb","measure_r_touch_a08f45f0","measure_r_usage_3a1b89d8"]');
INSERT INTO "meta" VALUES('frame','{"as_of":"2026-11-22","plan":"39a228caba86caec6bf81e7e3756e54b964689b8e534bd57b36a85f728491fbd","rates":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","streams":{"stripe.customers":"ok","stripe.subscriptions":"ok","stripe.payment_attempts":"ok","stripe.invoices":"ok","stripe.payment_methods":"ok"}}');
INSERT INTO "meta" VALUES('decided_at','1795309201001');
INSERT INTO "meta" VALUES('audit_head','20:1f50d697237df2230dbac1afa88fb2395cca8317ae8154d4b149ee82d995f4f7');
CREATE TABLE outbox (
	seq INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	own_key TEXT NOT NULL, 
	parent TEXT, 
	run_id TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	policy_version TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	account TEXT, 
	instance TEXT, 
	target_instance TEXT, 
	target_type TEXT, 
	target_id TEXT, 
	payload TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	state TEXT NOT NULL, 
	note TEXT, 
	hold TEXT, 
	not_before INTEGER, 
	expires_at INTEGER, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	planned_at INTEGER NOT NULL, 
	approved_at INTEGER, 
	first_sent_at INTEGER, 
	claimed_at INTEGER, 
	claimed_by TEXT, 
	settled_at INTEGER, 
	ref TEXT, 
	prior TEXT, 
	told INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE ("key")
)
 STRICT

;
INSERT INTO "outbox" VALUES(1,'playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0','acc_7dcdeec2b93bf5ca9e9a/1/0',NULL,'20261121T010001-2','playbooks/trouble','1','message.send','message','acc_7dcdeec2b93bf5ca9e9a',NULL,NULL,NULL,NULL,'{"template":"alert","to":"team","locale":null,"variables":{"text":"failing_invoices: 1","title":"trouble"}}','trouble: failing_invoices: 1','superseded','one for each of 1 in the team',NULL,NULL,NULL,0,1795222801001,NULL,NULL,NULL,NULL,1795222801001,NULL,NULL,1);
INSERT INTO "outbox" VALUES(2,'push/stripe/score.push/stripe:account:cus_8QnKZQVSReEkX2/20261121T010001-2','',NULL,'20261121T010001-2','push/stripe','1','score.push','state','acc_7dcdeec2b93bf5ca9e9a','stripe','stripe','account','cus_8QnKZQVSReEkX2','{"properties":{"wellkept_health":64}}','[[push]] keeps wellkept_health at stripe up to date','done',NULL,NULL,NULL,NULL,1,1795222801001,NULL,1795222801001,1795222801001,'20261121T010001-2',1795222801001,'cus_8QnKZQVSReEkX2','{"wellkept_health":null}',0);
INSERT INTO "outbox" VALUES(3,'playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0/team:ffebf89b95821210796d952faea890f6','acc_7dcdeec2b93bf5ca9e9a/1/0','playbooks/trouble/acc_7dcdeec2b93bf5ca9e9a/1/0','20261121T010001-2','playbooks/trouble','1','message.send','message','acc_7dcdeec2b93bf5ca9e9a','smtp',NULL,NULL,NULL,'{"template":"alert","to":"team:ffebf89b95821210796d952faea890f6","locale":null,"variables":{"text":"failing_invoices: 1","title":"trouble"}}','trouble: failing_invoices: 1','done',NULL,NULL,NULL,NULL,1,1795222801001,NULL,1795222801001,1795222801001,'20261121T010001-2',1795222801001,NULL,NULL,1);
INSERT INTO "outbox" VALUES(4,'playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0','acc_0e8cd596aefe14804c1d/1/0',NULL,'20261122T010001-3','playbooks/trouble','1','message.send','message','acc_0e8cd596aefe14804c1d',NULL,NULL,NULL,NULL,'{"template":"alert","to":"team","locale":null,"variables":{"text":"failing_invoices: 1","title":"trouble"}}','trouble: failing_invoices: 1','superseded','one for each of 1 in the team',NULL,NULL,NULL,0,1795309201001,NULL,NULL,NULL,NULL,1795309201001,NULL,NULL,1);
INSERT INTO "outbox" VALUES(5,'push/stripe/score.push/stripe:account:cus_Tj0woPIq7zJMsE/20261122T010001-3','',NULL,'20261122T010001-3','push/stripe','1','score.push','state','acc_0e8cd596aefe14804c1d','stripe','stripe','account','cus_Tj0woPIq7zJMsE','{"properties":{"wellkept_health":64}}','[[push]] keeps wellkept_health at stripe up to date','done',NULL,NULL,NULL,NULL,1,1795309201001,NULL,1795309201001,1795309201001,'20261122T010001-3',1795309201001,'cus_Tj0woPIq7zJMsE','{"wellkept_health":null}',0);
INSERT INTO "outbox" VALUES(6,'playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0/team:ffebf89b95821210796d952faea890f6','acc_0e8cd596aefe14804c1d/1/0','playbooks/trouble/acc_0e8cd596aefe14804c1d/1/0','20261122T010001-3','playbooks/trouble','1','message.send','message','acc_0e8cd596aefe14804c1d','smtp',NULL,NULL,NULL,'{"template":"alert","to":"team:ffebf89b95821210796d952faea890f6","locale":null,"variables":{"text":"failing_invoices: 1","title":"trouble"}}','trouble: failing_invoices: 1','done',NULL,NULL,NULL,NULL,1,1795309201001,NULL,1795309201001,1795309201001,'20261122T010001-3',1795309201001,NULL,NULL,0);
CREATE TABLE overrides (
	seq INTEGER NOT NULL, 
	account TEXT NOT NULL, 
	scorer TEXT NOT NULL, 
	band TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	author TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	ended_at INTEGER, 
	PRIMARY KEY (seq)
)
 STRICT

;
CREATE TABLE plugin_state (
	instance TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (instance, "key")
)
 STRICT

;
CREATE TABLE policies (
	policy TEXT NOT NULL, 
	version TEXT NOT NULL, 
	primed_at INTEGER, 
	seen_at INTEGER NOT NULL, 
	PRIMARY KEY (policy)
)
 STRICT

;
INSERT INTO "policies" VALUES('playbooks/trouble','1',1795219201001,1795309201001);
INSERT INTO "policies" VALUES('push/stripe/wellkept_health','1',1795219201001,1795309201001);
CREATE TABLE policy_facts (
	policy TEXT NOT NULL, 
	type TEXT NOT NULL, 
	instance TEXT NOT NULL, 
	id TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (policy, type, instance, id)
)
 STRICT

;
CREATE TABLE policy_states (
	policy TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	state TEXT NOT NULL, 
	wake_at INTEGER, 
	updated_at INTEGER NOT NULL, 
	PRIMARY KEY (policy, subject)
)
 STRICT

;
INSERT INTO "policy_states" VALUES('playbooks/trouble','acc_201ca7ee8fdeebac6697','{"active":true,"number":1,"acted_at":null,"arm":null}',NULL,1795219201001);
INSERT INTO "policy_states" VALUES('playbooks/trouble','acc_7dcdeec2b93bf5ca9e9a','{"active":true,"number":1,"acted_at":1795222801001,"arm":"act"}',NULL,1795222801001);
INSERT INTO "policy_states" VALUES('playbooks/trouble','acc_0e8cd596aefe14804c1d','{"active":true,"number":1,"acted_at":1795309201001,"arm":"act"}',NULL,1795309201001);
CREATE TABLE pushed (
	instance TEXT NOT NULL, 
	capability TEXT NOT NULL, 
	target_type TEXT NOT NULL, 
	target_id TEXT NOT NULL, 
	field TEXT NOT NULL, 
	value TEXT NOT NULL, 
	effect_key TEXT, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (instance, capability, target_type, target_id, field)
)
 STRICT

;
INSERT INTO "pushed" VALUES('stripe','score.push','account','cus_Tj0woPIq7zJMsE','wellkept_health','64','push/stripe/score.push/stripe:account:cus_Tj0woPIq7zJMsE/20261122T010001-3',1795309201001);
INSERT INTO "pushed" VALUES('stripe','score.push','account','cus_Rs0gJeKPUq9VyZ','wellkept_health','100',NULL,1795219201001);
INSERT INTO "pushed" VALUES('stripe','score.push','account','cus_u49mpVA8ImZt7x','wellkept_health','64',NULL,1795219201001);
INSERT INTO "pushed" VALUES('stripe','score.push','account','cus_8QnKZQVSReEkX2','wellkept_health','64','push/stripe/score.push/stripe:account:cus_8QnKZQVSReEkX2/20261121T010001-2',1795222801001);
INSERT INTO "pushed" VALUES('stripe','score.push','account','cus_V0LKKM4wDUsgpU','wellkept_health','100',NULL,1795219201001);
INSERT INTO "pushed" VALUES('stripe','score.push','account','cus_cn6Bj5TecqxD57','wellkept_health','100',NULL,1795219201001);
CREATE TABLE r_account ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "name" TEXT, "external_id" TEXT, "email" TEXT, "phone" TEXT, "domains" TEXT, "parent_ref" TEXT, "owner_ref" TEXT, "locale" TEXT, "country" TEXT, "segment" TEXT, "seats_bought" INTEGER, "created_at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_account" VALUES('stripe','cus_8QnKZQVSReEkX2','customers',1795309201000,1795222801000,0,1795309201001,1795222801000,X'E81F666E8879CBF39F0FDD976E9CFDC4','{"account_id":"acct-0003","stripe_delinquent":true,"wellkept_health":"64"}','Cinder Studios 3','acct-0003','billing@cinder-studios-3.example',NULL,'[]',NULL,NULL,'es-ES','ES',NULL,NULL,1743320143000);
INSERT INTO "r_account" VALUES('stripe','cus_Rs0gJeKPUq9VyZ','customers',1795222801000,1795222801000,0,1795222801001,1795222801000,X'1ECCBA9451B9A11995DC6B17426B7738','{"account_id":"acct-0006","stripe_delinquent":false}','Jørgen 客 GmbH','acct-0006','billing@ember-labs-6.example',NULL,'[]',NULL,NULL,'fr-FR','FR',NULL,NULL,1762227334000);
INSERT INTO "r_account" VALUES('stripe','cus_Tj0woPIq7zJMsE','customers',1795309201000,1795309201000,0,1795309201001,1795309201000,X'9D28698F67EF0F44BCBBD42188245D99','{"account_id":"acct-0004","stripe_delinquent":true}','Nimbus Travel 4','acct-0004','billing@nimbus-travel-4.example',NULL,'[]',NULL,NULL,'es-ES','ES',NULL,NULL,1731834344000);
INSERT INTO "r_account" VALUES('stripe','cus_V0LKKM4wDUsgpU','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'434E7DC7212B15D26027C78C440B8D49','{"account_id":"acct-0001","stripe_delinquent":false}','Willow Freight 1','acct-0001','billing@willow-freight-1.example','+15550000001','[]',NULL,NULL,'es-ES','ES',NULL,NULL,1773789364000);
INSERT INTO "r_account" VALUES('stripe','cus_cn6Bj5TecqxD57','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'809BE7AC0124806005CF882D7C23B667','{"account_id":"acct-0005","stripe_delinquent":false}','Harbor Gardens 5','acct-0005','billing@harbor-gardens-5.example',NULL,'[]',NULL,NULL,'en-GB','GB',NULL,NULL,1767933596000);
INSERT INTO "r_account" VALUES('stripe','cus_u49mpVA8ImZt7x','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'8A5A06C6DC1CE7E9B5D11A5AE3004B71','{"account_id":"acct-0002","stripe_delinquent":true}','Orchard Energy 2','acct-0002','billing@orchard-energy-2.example',NULL,'[]',NULL,NULL,'en-US','US',NULL,NULL,1763121275000);
CREATE TABLE r_invoice ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "status" TEXT, "currency" TEXT, "amount_due" INTEGER, "amount_paid" INTEGER, "amount_remaining" INTEGER, "subscription_ref" TEXT, "number" TEXT, "billing_reason" TEXT, "collection" TEXT, "attempt_count" INTEGER, "next_attempt_at" INTEGER, "due_at" INTEGER, "created_at" INTEGER, "finalized_at" INTEGER, "paid_at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_invoice" VALUES('stripe','in_10R8nvoMk0Q6B7iU9ByBubbO','invoices',1795219200000,1791978875000,0,1795219200000,1791978875000,X'E646CC215EDA34AE3D6710C665122AA4','{}','cus_u49mpVA8ImZt7x','paid','usd',38400,38400,0,'sub_1wmfb4xknMtq77Lk1MspRLOk','U49MPVA8-0001','subscription_cycle','automatic',1,NULL,NULL,1791978875000,1791978875000,1791978875000);
INSERT INTO "r_invoice" VALUES('stripe','in_18WsRvxywKfLnKcFG0AD3PhM','invoices',1795219200000,1793763334000,0,1795219200000,1793763334000,X'CED946196C85619FBA6E3CBD88251DE9','{}','cus_Rs0gJeKPUq9VyZ','paid','gbp',4500,4500,0,'sub_1sGnvrg0Th84U0KSBNfYDx3z','RS0GJEKP-0002','subscription_cycle','automatic',1,NULL,NULL,1793763334000,1793763334000,1793763334000);
INSERT INTO "r_invoice" VALUES('stripe','in_1CICDBHSU60WCOSTJaqqTOKT','invoices',1795219200000,NULL,0,1795219200000,1795219200000,X'6C52E4DC91A7EE2874F8AE53D3323DD9','{}','cus_u49mpVA8ImZt7x','open','usd',38400,0,38400,'sub_1wmfb4xknMtq77Lk1MspRLOk','U49MPVA8-0002','subscription_cycle','automatic',1,1794916475000,NULL,1794657275000,1794657275000,NULL);
INSERT INTO "r_invoice" VALUES('stripe','in_1H0Mn0VGRwXj3gcOhdxHJh9Q','invoices',1795219200000,1792278964000,0,1795219200000,1792278964000,X'D6ED0DC2A78C028D241CB91B6E8CBDD9','{}','cus_V0LKKM4wDUsgpU','paid','jpy',13500,13500,0,'sub_19pr0FC4hIVGjdcmfl4nB0fb','V0LKKM4W-0001','subscription_cycle','automatic',1,NULL,NULL,1792278964000,1792278964000,1792278964000);
INSERT INTO "r_invoice" VALUES('stripe','in_1JPSjMVsPGlhrWRhI9wNz48D','invoices',1795219200000,1794906344000,0,1795219200000,1794906344000,X'D5E63426D05A8B5913D37BCCE831B390','{}','cus_Tj0woPIq7zJMsE','paid','gbp',14700,14700,0,'sub_1l7ISUicTU796JBFgmbzYL3N','TJ0WOPIQ-0002','subscription_cycle','automatic',1,NULL,NULL,1794906344000,1794906344000,1794906344000);
INSERT INTO "r_invoice" VALUES('stripe','in_1OD5DYNe6WyHZf8WZwjczyOp','invoices',1795219200000,1774856143000,0,1795219200000,1774856143000,X'38CB769A55AC8923F8E504CBAD96F55E','{}','cus_8QnKZQVSReEkX2','paid','usd',153000,153000,0,'sub_1baQyGka1x5mlhw6eYPcTFgq','8QNKZQVS-0001','subscription_cycle','automatic',1,NULL,NULL,1774856143000,1774856143000,1774856143000);
INSERT INTO "r_invoice" VALUES('stripe','in_1PKYTwTjSR5LA0YpQxFRkCRc','invoices',1795219200000,1794199196000,0,1795219200000,1794199196000,X'04ABB75630FF20935DA698EE4339066F','{}','cus_cn6Bj5TecqxD57','paid','eur',1750,1750,0,'sub_1N685X20nyEr6A85HrZo9816','CN6BJ5TE-0002','subscription_cycle','automatic',1,NULL,NULL,1794199196000,1794199196000,1794199196000);
INSERT INTO "r_invoice" VALUES('stripe','in_1Wkoz0S6bPvl6fSjqiZAeixX','invoices',1795219200000,1792227944000,0,1795219200000,1792227944000,X'0E0463F076894ACC04E3273A9D430170','{}','cus_Tj0woPIq7zJMsE','paid','gbp',14700,14700,0,'sub_1l7ISUicTU796JBFgmbzYL3N','TJ0WOPIQ-0001','subscription_cycle','automatic',1,NULL,NULL,1792227944000,1792227944000,1792227944000);
INSERT INTO "r_invoice" VALUES('stripe','in_1YeOBXv4vsp8NRMcU9xoeZDn','invoices',1795219200000,1791084934000,0,1795219200000,1791084934000,X'1A84C598FAC83FE3E99A61C34E8CB57E','{}','cus_Rs0gJeKPUq9VyZ','paid','gbp',4500,4500,0,'sub_1sGnvrg0Th84U0KSBNfYDx3z','RS0GJEKP-0001','subscription_cycle','automatic',1,NULL,NULL,1791084934000,1791084934000,1791084934000);
INSERT INTO "r_invoice" VALUES('stripe','in_1az0HkMw2Ux1wssYE6h00n9l','invoices',1795219200000,1791520796000,0,1795219200000,1791520796000,X'4FD92A3CF77E3ADFB28793CB820412DB','{}','cus_cn6Bj5TecqxD57','paid','eur',1750,1750,0,'sub_1N685X20nyEr6A85HrZo9816','CN6BJ5TE-0001','subscription_cycle','automatic',1,NULL,NULL,1791520796000,1791520796000,1791520796000);
INSERT INTO "r_invoice" VALUES('stripe','in_1tAN6jm09RoMMzRPf8fX2ZCY','invoices',1795219200000,1794957364000,0,1795219200000,1794957364000,X'5BC43BFE3E1349CE84681D417E6F733C','{}','cus_V0LKKM4wDUsgpU','paid','jpy',13500,13500,0,'sub_19pr0FC4hIVGjdcmfl4nB0fb','V0LKKM4W-0002','subscription_cycle','automatic',1,NULL,NULL,1794957364000,1794957364000,1794957364000);
INSERT INTO "r_invoice" VALUES('stripe','in_1lU07NJIO8q4rspvOu5Crr9f','invoices',1795222801000,1795222801000,0,1795222801001,1795222801000,X'9AF94BA2786662EC0C0D5389E7D3E23D','{}','cus_8QnKZQVSReEkX2','open','usd',153000,0,153000,'sub_1baQyGka1x5mlhw6eYPcTFgq','8QNKZQVS-0002','subscription_cycle','automatic',1,1795482001000,NULL,1795222801000,1795222801000,NULL);
INSERT INTO "r_invoice" VALUES('stripe','in_1SjD0ISm7LMlExwfPo6jPc8A','invoices',1795309201000,1795309201000,0,1795309201001,1795309201000,X'32AB357446C7A30A15ABC687300A420B','{}','cus_Tj0woPIq7zJMsE','open','gbp',14700,0,14700,'sub_1l7ISUicTU796JBFgmbzYL3N','TJ0WOPIQ-0003','subscription_cycle','automatic',1,1795568401000,NULL,1795309201000,1795309201000,NULL);
CREATE TABLE r_payment_attempt ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "invoice_ref" TEXT, "payment_method_ref" TEXT, "status" TEXT, "currency" TEXT, "amount" INTEGER, "attempted_at" INTEGER, "decline_code" TEXT, "network_code" TEXT, "advice_code" TEXT, "failure_code" TEXT, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_14qSOqqpUqqGHpXXQKlisOkP','payment_attempts',1795219200000,1793763334000,0,1795219201001,1793763334000,X'29E8D70DB6B2565402870E36149D204A','{"stripe_payment_intent":"pi_1KJJ40ER25WRTT7BFh62BI1b"}','cus_Rs0gJeKPUq9VyZ','in_18WsRvxywKfLnKcFG0AD3PhM','pm_1q0pOsuL8TzwnDjf9JMiMfsq','succeeded','gbp',4500,1793763334000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_15rrXuQiSxHFZ8vOW9yExDgz','payment_attempts',1795219200000,1791084934000,0,1795219201001,1791084934000,X'43816BA5753F6D5CBD27F41DF359496A','{"stripe_payment_intent":"pi_1TQX2iXxXbKixZimsnlKNVio"}','cus_Rs0gJeKPUq9VyZ','in_1YeOBXv4vsp8NRMcU9xoeZDn','pm_1q0pOsuL8TzwnDjf9JMiMfsq','succeeded','gbp',4500,1791084934000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_19RC9sd6RpJNyw35BOlVmwg5','payment_attempts',1795219200000,1794957364000,0,1795219201001,1794957364000,X'D90648CA0981EAF5215E12FBC7A278BD','{"stripe_payment_intent":"pi_1E0Ylj9zx5g9zmFR4bRBnent"}','cus_V0LKKM4wDUsgpU','in_1tAN6jm09RoMMzRPf8fX2ZCY','pm_1GBsloVkeoX1K4ytU868fXN1','succeeded','jpy',13500,1794957364000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1CNGHRX0Zu45YnQ4JM1zhLtW','payment_attempts',1795219200000,1774856143000,0,1795219201001,1774856143000,X'B9F10A54AEBCB40BA1C653988BE7AFA2','{"stripe_payment_intent":"pi_126oLcjf9tHCP1AdptN9j3jV"}','cus_8QnKZQVSReEkX2','in_1OD5DYNe6WyHZf8WZwjczyOp','pm_1scgNBA0fd0wY069JY03lUpQ','succeeded','usd',153000,1774856143000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1CtF4Ao3UjDuR0QS87qakESo','payment_attempts',1795219200000,1794199196000,0,1795219201001,1794199196000,X'7180768FF4B2C02B830D6B121897FD26','{"stripe_payment_intent":"pi_1mdnt0gd0HL0swae86nbqq6o"}','cus_cn6Bj5TecqxD57','in_1PKYTwTjSR5LA0YpQxFRkCRc','pm_1rgynrhXKcnQ0DFfFMaVOtAI','succeeded','eur',1750,1794199196000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1Iox20MslC7G3loEZXIjDspp','payment_attempts',1795219200000,1791978875000,0,1795219201001,1791978875000,X'472BC2D4AAA6322783A720BEF1C9E037','{"stripe_payment_intent":"pi_1gyDaNAXT2t52ioNOsh363Wn"}','cus_u49mpVA8ImZt7x','in_10R8nvoMk0Q6B7iU9ByBubbO','pm_1W0h0mJz8l8s05j2aCfyYdgW','succeeded','usd',38400,1791978875000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1M25Ay5lgUk0PyjRi0a-hostXpwY','payment_attempts',1795219200000,1792278964000,0,1795219201001,1792278964000,X'2286A17CAC3E7AE84E044FF9768E88B4','{"stripe_payment_intent":"pi_1NJk4tmJs4Vda0QTj0vTyNIv"}','cus_V0LKKM4wDUsgpU','in_1H0Mn0VGRwXj3gcOhdxHJh9Q','pm_1GBsloVkeoX1K4ytU868fXN1','succeeded','jpy',13500,1792278964000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1NhtvG1aJPIdEhQn3uqgtunj','payment_attempts',1795219200000,1794906344000,0,1795219201001,1794906344000,X'4B03F8238839A9B3815A58E9B4A61DFF','{"stripe_payment_intent":"pi_1YKEbMQ1P5qUxbcJQ52VMcpZ"}','cus_Tj0woPIq7zJMsE','in_1JPSjMVsPGlhrWRhI9wNz48D','pm_1I8UsXOnyzIDErkPeYo6NbQW','succeeded','gbp',14700,1794906344000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1OETA3GDxtJcL0ZlXHFXdzVD','payment_attempts',1795219200000,1794657275000,0,1795219201001,1794657275000,X'E7C32A2E5F2C96C293479BA4F1083538','{"stripe_payment_intent":"pi_1pDtP0Jx0zVUsI87g1tSdNyd"}','cus_u49mpVA8ImZt7x','in_1CICDBHSU60WCOSTJaqqTOKT','pm_1W0h0mJz8l8s05j2aCfyYdgW','failed','usd',38400,1794657275000,'generic_decline','05','try_again_later','card_declined');
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1naVsOEIgrR8ounmtIB5mI5D','payment_attempts',1795219200000,1792227944000,0,1795219201001,1792227944000,X'141CCEE62E0F705B9CD0A2641FBB2426','{"stripe_payment_intent":"pi_1ifHoIFVxfYXvY00oKP5cU4C"}','cus_Tj0woPIq7zJMsE','in_1Wkoz0S6bPvl6fSjqiZAeixX','pm_1I8UsXOnyzIDErkPeYo6NbQW','succeeded','gbp',14700,1792227944000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1wn4m76oUc4eOiUhzmbURa7o','payment_attempts',1795219200000,1791520796000,0,1795219201001,1791520796000,X'FF4118930BA64F41E0757F22F5F04462','{"stripe_payment_intent":"pi_165uPqc7gLxR8oyyDtT654oF"}','cus_cn6Bj5TecqxD57','in_1az0HkMw2Ux1wssYE6h00n9l','pm_1rgynrhXKcnQ0DFfFMaVOtAI','succeeded','eur',1750,1791520796000,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','inpay_1TRfTSeiaG0o1sPNWKJlkYMm','payment_attempts',1795219200000,NULL,1,1795219201001,1795219201001,X'64656C65746564',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_1fEKJbQgEDCnE3KbaUh0E7BJ','payment_attempts',1795222801000,1795222801000,0,1795222801001,1795222801000,X'AEE2A871B08C50E0622B905C797F5ADC','{"stripe_payment_intent":"pi_1jy2Gw04fVsZrQtO20j7Ze4E"}','cus_8QnKZQVSReEkX2','in_1lU07NJIO8q4rspvOu5Crr9f','pm_1scgNBA0fd0wY069JY03lUpQ','failed','usd',153000,1795222801000,'insufficient_funds','51','try_again_later','card_declined');
INSERT INTO "r_payment_attempt" VALUES('stripe','inpay_10Y6K5mqml7p22FXulIdMYZs','payment_attempts',1795222801000,NULL,1,1795222801001,1795222801001,X'64656C65746564',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "r_payment_attempt" VALUES('stripe','ch_11PLOq063wUo0SZXlE1zm8Fk','payment_attempts',1795309201000,1795309201000,0,1795309201001,1795309201000,X'C03F39B16E93EF795B1C70950D5B39D1','{"stripe_payment_intent":"pi_1KbqRGiWvoW35GYh2XWH5FGZ"}','cus_Tj0woPIq7zJMsE','in_1SjD0ISm7LMlExwfPo6jPc8A','pm_1I8UsXOnyzIDErkPeYo6NbQW','failed','gbp',14700,1795309201000,'insufficient_funds','51','try_again_later','card_declined');
INSERT INTO "r_payment_attempt" VALUES('stripe','inpay_1uHazlFRdiqWFxOvfnejCeeT','payment_attempts',1795309201000,NULL,1,1795309201001,1795309201001,X'64656C65746564',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE r_payment_method ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "kind" TEXT, "brand" TEXT, "last4" TEXT, "fingerprint" TEXT, "expires_on" TEXT, "is_default" INTEGER, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_payment_method" VALUES('stripe','pm_1GBsloVkeoX1K4ytU868fXN1','payment_methods',1795219200000,NULL,0,1795219200000,1795219200000,X'CD27627F50149EE96BD20FDC296CADF9','{}','cus_V0LKKM4wDUsgpU','card','mastercard','2890','eoX1K4ytU868fXN1','2029-07-31',1);
INSERT INTO "r_payment_method" VALUES('stripe','pm_1I8UsXOnyzIDErkPeYo6NbQW','payment_methods',1795219200000,NULL,0,1795219200000,1795219200000,X'40E423880C8D12D53A4209F2496D3410','{}','cus_Tj0woPIq7zJMsE','card','amex','5656','yzIDErkPeYo6NbQW','2027-01-31',1);
INSERT INTO "r_payment_method" VALUES('stripe','pm_1W0h0mJz8l8s05j2aCfyYdgW','payment_methods',1795219200000,NULL,0,1795219200000,1795219200000,X'5825A1E51330DB6486E0863FD3755C11','{}','cus_u49mpVA8ImZt7x','card','amex','2485','8l8s05j2aCfyYdgW','2030-12-31',1);
INSERT INTO "r_payment_method" VALUES('stripe','pm_1q0pOsuL8TzwnDjf9JMiMfsq','payment_methods',1795219200000,NULL,0,1795219200000,1795219200000,X'3DD6DF53E530F40BF4DD47DDE46A56B9','{}','cus_Rs0gJeKPUq9VyZ','card','amex','2528','8TzwnDjf9JMiMfsq','2027-05-31',1);
INSERT INTO "r_payment_method" VALUES('stripe','pm_1rgynrhXKcnQ0DFfFMaVOtAI','payment_methods',1795219200000,NULL,0,1795219200000,1795219200000,X'26195B1DE56961CF7752F1AC07D3DC45','{}','cus_cn6Bj5TecqxD57','card','mastercard','2765','KcnQ0DFfFMaVOtAI','2030-12-31',1);
INSERT INTO "r_payment_method" VALUES('stripe','pm_1scgNBA0fd0wY069JY03lUpQ','payment_methods',1795219200000,NULL,0,1795219200000,1795219200000,X'1B632FECC1502CB0CE2EFD2E27F9212B','{}','cus_8QnKZQVSReEkX2','card','visa','3476','fd0wY069JY03lUpQ','2027-09-30',1);
CREATE TABLE r_person ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "name" TEXT, "email" TEXT, "email_verified" INTEGER, "phone" TEXT, "roles" TEXT, "locale" TEXT, "time_zone" TEXT, "marketing_consent" INTEGER, "created_at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_person" VALUES('stripe','cus_8QnKZQVSReEkX2','customers',1795309201000,1795222801000,0,1795219200000,1795219200000,X'74989E22934C59141F27C6E8C7A4F9DF','{}','cus_8QnKZQVSReEkX2',NULL,'billing@cinder-studios-3.example',0,NULL,'["billing"]','es-ES',NULL,NULL,1743320143000);
INSERT INTO "r_person" VALUES('stripe','cus_Rs0gJeKPUq9VyZ','customers',1795222801000,1795222801000,0,1795219200000,1795219200000,X'96C3F26648570D610D39BC726B5717FA','{}','cus_Rs0gJeKPUq9VyZ',NULL,'billing@ember-labs-6.example',0,NULL,'["billing"]','fr-FR',NULL,NULL,1762227334000);
INSERT INTO "r_person" VALUES('stripe','cus_Tj0woPIq7zJMsE','customers',1795309201000,1795309201000,0,1795219200000,1795219200000,X'37D7F769ACEB16AF25110B2C0DF9503C','{}','cus_Tj0woPIq7zJMsE',NULL,'billing@nimbus-travel-4.example',0,NULL,'["billing"]','es-ES',NULL,NULL,1731834344000);
INSERT INTO "r_person" VALUES('stripe','cus_V0LKKM4wDUsgpU','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'3D0EBDA9322EC91DB180AD84A01D1298','{}','cus_V0LKKM4wDUsgpU',NULL,'billing@willow-freight-1.example',0,'+15550000001','["billing"]','es-ES',NULL,NULL,1773789364000);
INSERT INTO "r_person" VALUES('stripe','cus_cn6Bj5TecqxD57','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'5F5185B4C9146C5062F60EF3094E0A20','{}','cus_cn6Bj5TecqxD57',NULL,'billing@harbor-gardens-5.example',0,NULL,'["billing"]','en-GB',NULL,NULL,1767933596000);
INSERT INTO "r_person" VALUES('stripe','cus_u49mpVA8ImZt7x','customers',1795219200000,NULL,0,1795219200000,1795219200000,X'9EB4B0F986AF1E81EC457E52F6786B51','{}','cus_u49mpVA8ImZt7x',NULL,'billing@orchard-energy-2.example',0,NULL,'["billing"]','en-US',NULL,NULL,1763121275000);
CREATE TABLE r_stripe_price ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "product_ref" TEXT, "currency" TEXT, "amount" INTEGER, "unit_amount_decimal" TEXT, "billing_scheme" TEXT, "tiers_mode" TEXT, "tiers" TEXT, "interval" TEXT, "interval_count" INTEGER, "usage_type" TEXT, "pack_of" INTEGER, "pack_rounding" TEXT, "tax_behavior" TEXT, "nickname" TEXT, "lookup_key" TEXT, "active" INTEGER, "created_at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_stripe_price" VALUES('stripe','price_10Bpj5bRUzHoH6af30434Cxn','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'C9E8CB9C69CCF152C0C823DC5A796118','{}','prod_1uhYCIXopcSaM0','eur',4500,'4500','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Enterprise monthly','enterprise_eur_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_11Fl6G0yTGBsuaLmg09KBbjg','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'8F13EBBDA75C60FB664E3C2531287FE1','{}','prod_XQOgBi8GdGOKWV','gbp',700,'700','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Team monthly','team_gbp_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_12F72NubfSfWruHLrpf1IVYb','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'B6338B7EBCD7964093AD0E706F38DB04','{}','prod_3GpOfWYBjSqRsI','jpy',36000,'36000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Business yearly','business_jpy_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_12gKdHnJeiWWU6ecsyT09W76','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'24B865ACB70E151E43B1890C15F84900','{}','prod_XQOgBi8GdGOKWV','isk',1260,'126000','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Team monthly','team_isk_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_14jf501b04OxMFbbS6tyg69y','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'69631B0049765DD52655C35E04E00E01','{}','prod_iV8ydoz0ioE0AR','gbp',1500,'1500','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Starter monthly','starter_gbp_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_179qn08zUjOPpQ4mpt7RTZoh','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'C3E3154E880D1C0E907DAE46EE9A161C','{}','prod_3GpOfWYBjSqRsI','kwd',74400,'74400','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Business yearly','business_kwd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_18iNqlFKvkDtHhSfH8eNXaNf','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'999AA9B0D5621171CEF68661677B86CD','{}','prod_XQOgBi8GdGOKWV','usd',9000,'9000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Team yearly','team_usd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_19cYpUCcFi350nNXK5HKgc4d','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'B0DCD8FA51E7D476BEC1880CBCDF1864','{}','prod_1uhYCIXopcSaM0','usd',4900,'4900','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Enterprise monthly','enterprise_usd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1BsiVoK6gvbSsh40cW0EwEco','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'0A33430BB0C7B3AE7EED3F4A48E4D468','{}','prod_XQOgBi8GdGOKWV','jpy',13500,'13500','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Team yearly','team_jpy_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1C4ZMXceWgbtkR69PqEQGoqT','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'F57A150A83D51EFC91413F2CC55FFF09','{}','prod_3GpOfWYBjSqRsI','jpy',3600,'3600','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Business monthly','business_jpy_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1F1iC1d42V0UwKBkUP2zDNy1','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'3F3728C089B94C601AFDDF1ADDF979B3','{}','prod_1uhYCIXopcSaM0','isk',68600,'6860000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Enterprise yearly','enterprise_isk_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1F1vHg5LVG7jzYy0GMP0BR1w','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'B62AB31E854E0989DBB54EE52095EA0A','{}','prod_1uhYCIXopcSaM0','cny',34800,'34800','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Enterprise monthly','enterprise_cny_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1GMNBIhBK01mUimnxXqN436B','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'43501A4C9406104F3C0C4821F607B3A0','{}','prod_3GpOfWYBjSqRsI','isk',3360,'336000','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Business monthly','business_isk_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1HRJxPU4iwSDE15f8Fb0k0SI','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'0D15A1BF88B014727A49CF3C47A6DDD5','{}','prod_3GpOfWYBjSqRsI','cny',170500,'170500','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Business yearly','business_cny_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1K4Vh0cTfDyntIWpk2Sri8Nb','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'124FE7DC7EF8EE17DEFA74F7DEB7A790','{}','prod_iV8ydoz0ioE0AR','kwd',5890,'5890','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Starter monthly','starter_kwd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1Kwk9eQ2UcgPCAUqJ0Wmmz3B','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'37304AF7F411BC08C9DFB3E20B7AC201','{}','prod_iV8ydoz0ioE0AR','eur',17500,'17500','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Starter yearly','starter_eur_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1MDlTZ8yjZL6vUEqs010fHOH','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'B2FC6CB59399CA32423B23B64C2B1983','{}','prod_iV8ydoz0ioE0AR','usd',19000,'19000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Starter yearly','starter_usd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1MMm2kzKo8ubfDo8hK8pEtNB','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'F40BCBBBFB5113BF6F1B1E5BE1C4AFFC','{}','prod_1uhYCIXopcSaM0','jpy',7350,'7350','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Enterprise monthly','enterprise_jpy_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1MnvD6OOakowMhrpu4ULZFH9','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'D69008DD75F18043E5959945BD22194E','{}','prod_3GpOfWYBjSqRsI','eur',2200,'2200','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Business monthly','business_eur_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1OidrsnNP5T2F7EScpJxxARS','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'5331C94A7FEEAC26277913D81B38BF5A','{}','prod_iV8ydoz0ioE0AR','jpy',2850,'2850','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Starter monthly','starter_jpy_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1Ph7GxHf9u53BgKlc9NzrSMd','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'88EF51CE4B541331EBFFEF14A170C38D','{}','prod_1uhYCIXopcSaM0','eur',45000,'45000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Enterprise yearly','enterprise_eur_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1PszYOwm2pr0R0BNAN3XV0Ty','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'40C0CCAD506700164E1CF18F52B2448B','{}','prod_3GpOfWYBjSqRsI','cny',17050,'17050','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Business monthly','business_cny_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1QjPsFhhdU0f702GJbaGGK08','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'D2CBB0FFC0FD1AF370D1A7A9B0DE7206','{}','prod_3GpOfWYBjSqRsI','isk',33600,'3360000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Business yearly','business_isk_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1SNB4d0E1Ra70ItUHMOT3ygs','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'2D62B056F12F9B3E4B9B85C1B94A0E34','{}','prod_XQOgBi8GdGOKWV','kwd',27900,'27900','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Team yearly','team_kwd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1W1R4SrhxbgsuooCcLKvzLo2','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'B25444D4A6856E807A93A3F9CDB7E7CD','{}','prod_3GpOfWYBjSqRsI','usd',24000,'24000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Business yearly','business_usd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1YnLdo1Dw0lUGR5EKzHFFbzy','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'13BFDC177A9077A031631F46D4DEC2FB','{}','prod_1uhYCIXopcSaM0','isk',6860,'686000','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Enterprise monthly','enterprise_isk_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1Z6B4erfOpVsllKAoy33JeWG','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'1D3C2CD1AADDB1602E653F09E7A65705','{}','prod_iV8ydoz0ioE0AR','isk',26600,'2660000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Starter yearly','starter_isk_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1Z86CEdDU15jbdrfZsdzqE0I','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'A1857B79C7A6063AF2C18F8C9AFFD360','{}','prod_3GpOfWYBjSqRsI','kwd',7440,'7440','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Business monthly','business_kwd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1aQEurS35gVv0xxXMP0hSptJ','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'64D9E806BB9427A0E83DEB588A8D33EF','{}','prod_XQOgBi8GdGOKWV','usd',900,'900','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Team monthly','team_usd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1bQpXrQYXQOjNSLoEbmK0NVp','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'9303DDCB90E5813EBB2293F464EC91DA','{}','prod_iV8ydoz0ioE0AR','kwd',58900,'58900','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Starter yearly','starter_kwd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1c3aWejXSPmqOPFil381mHPY','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'8749F24B8BD30C8C29C14C1CA65C8157','{}','prod_3GpOfWYBjSqRsI','gbp',19000,'19000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Business yearly','business_gbp_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1dBlQqDxeAHlbQdEDD29lXXQ','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'0A690103B2B24B1F2D439F432F1058AB','{}','prod_1uhYCIXopcSaM0','kwd',151900,'151900','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Enterprise yearly','enterprise_kwd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1dRnVxma-host0Z6hVoeezX9rG3M','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'F6774954272E6DAD19A2B652A6FB8BAE','{}','prod_XQOgBi8GdGOKWV','kwd',2790,'2790','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Team monthly','team_kwd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1h0TmjE7f0H9U6mBxmWyr1Xo','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'22B97B5E9B5538C926A6E0ABF89C3590','{}','prod_1uhYCIXopcSaM0','gbp',3850,'3850','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Enterprise monthly','enterprise_gbp_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1hH6UPVMyjjNxhzrusKD5w0P','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'A4B8BDC5E684C8996DC7009A9874D01D','{}','prod_XQOgBi8GdGOKWV','jpy',1350,'1350','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Team monthly','team_jpy_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1jiBqHAnWe4G0OsEKqZQr4vu','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'BCEB484A319F5FA55B56C60A40A6E551','{}','prod_iV8ydoz0ioE0AR','gbp',15000,'15000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Starter yearly','starter_gbp_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1jp5b0OHQHmPy9V0ucbdv6cF','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'7330ABA7E786D68230763D94BA06182F','{}','prod_1uhYCIXopcSaM0','kwd',15190,'15190','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Enterprise monthly','enterprise_kwd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1jwJ1zT4dCiGspvt7L2hsOrG','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'ED8B2A01FBE93D8BD104E79D61C9EDCD','{}','prod_XQOgBi8GdGOKWV','cny',6400,'6400','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Team monthly','team_cny_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1mFMaDzXfJ2FDZDnFj0f3hOy','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'077C3D607D24A43E14FA1665FFB67F04','{}','prod_3GpOfWYBjSqRsI','usd',2400,'2400','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Business monthly','business_usd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1mRZCOpXm8Ow67naEwp3lj2e','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'149C6AEC7471CD8A6605549B105C4439','{}','prod_iV8ydoz0ioE0AR','cny',135000,'135000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Starter yearly','starter_cny_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1mVKV58ztm8J8zTGQuLfPBLo','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'C2856347F360C335335A522AE50A8F1F','{}','prod_XQOgBi8GdGOKWV','eur',8500,'8500','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Team yearly','team_eur_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1o0ufIfCEayJLrC8Ow0jXMAn','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'6E35A9C454DE30B9057BC5AB67B6AECA','{}','prod_iV8ydoz0ioE0AR','jpy',28500,'28500','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Starter yearly','starter_jpy_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1oAEhujye50pE0pZKK7jl5Sg','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'A96CD19497720D83C9ED3756475703CD','{}','prod_XQOgBi8GdGOKWV','eur',850,'850','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Team monthly','team_eur_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1oQkZhg21npX2ZqkYpddnne8','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'8D83D6EA34ECB4EBB288CEE81CE65258','{}','prod_XQOgBi8GdGOKWV','cny',64000,'64000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Team yearly','team_cny_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1orRde4ZiRznuiMSa8qJ3eal','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'C6D90A01026F97B6DA7AC30C96F428EB','{}','prod_XQOgBi8GdGOKWV','gbp',7000,'7000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Team yearly','team_gbp_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1qQ9SVJFFUgwaM0mjfSNVnLC','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'239ADE853F6B94DA45AA01CADA6B208B','{}','prod_iV8ydoz0ioE0AR','isk',2660,'266000','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Starter monthly','starter_isk_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1qs0K6SBb9DLJKseokFGlz0j','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'C5EC0F13785739C0D795DD7F0FC395FC','{}','prod_1uhYCIXopcSaM0','cny',348000,'348000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Enterprise yearly','enterprise_cny_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1rcOi9eQq47F9RG8Y9q6hdL0','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'52C928B360BDBF78D9DFABEF7F8A4EFC','{}','prod_iV8ydoz0ioE0AR','eur',1750,'1750','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Starter monthly','starter_eur_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1si2RAQ4v40EprLD8eosdcZe','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'540FEB8A713AF43157B4006B4334C660','{}','prod_1uhYCIXopcSaM0','usd',49000,'49000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Enterprise yearly','enterprise_usd_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1v2szzt2x5liw9bpnzTNFA83','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'32C7E3EBC2B54AC700784FEE1F3EEF23','{}','prod_1uhYCIXopcSaM0','jpy',73500,'73500','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Enterprise yearly','enterprise_jpy_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1vz0jW2REwGystl0a2cv17tH','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'5039C3E747A6640CC5271441590D17F7','{}','prod_iV8ydoz0ioE0AR','usd',1900,'1900','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Starter monthly','starter_usd_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1xD7eq00xow0981HHL5cawb4','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'B8F84B1D9D6C98F3274EC27E6838ADD1','{}','prod_1uhYCIXopcSaM0','gbp',38500,'38500','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Enterprise yearly','enterprise_gbp_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1xOubad1JtQtn0peJtBZNBzY','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'D3A76716289E1E2A4E52A840345493E8','{}','prod_iV8ydoz0ioE0AR','cny',13500,'13500','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Starter monthly','starter_cny_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1yoHZeENtnUmWpaF5EcYg3o1','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'08EBDFFE10F67910916D19B0A95A41A6','{}','prod_3GpOfWYBjSqRsI','gbp',1900,'1900','per_unit',NULL,'[]','month',1,'licensed',NULL,NULL,'unspecified','Business monthly','business_gbp_month',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1z0Yrr8ZBu9moN3xR9JjPgKO','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'C75DD5B9D5F9FCA7190AA2DA444FA110','{}','prod_XQOgBi8GdGOKWV','isk',12600,'1260000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Team yearly','team_isk_year',1,1714867200000);
INSERT INTO "r_stripe_price" VALUES('stripe','price_1znOeg0e4yBbRkp2UOfMl3wq','prices',1795219199000,NULL,0,1795219200100,1795219200100,X'3FEC1E699BA3812D5A2019B0996B0AF3','{}','prod_3GpOfWYBjSqRsI','eur',22000,'22000','per_unit',NULL,'[]','year',1,'licensed',NULL,NULL,'unspecified','Business yearly','business_eur_year',1,1714867200000);
CREATE TABLE r_stripe_product ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "name" TEXT, "active" INTEGER, "unit_label" TEXT, "created_at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_stripe_product" VALUES('stripe','prod_1uhYCIXopcSaM0','products',1795219200000,1714867200000,0,1795219200000,1714867200000,X'9CE6EEEB98D2A5D555C29C8FBA98DC35','{}','Enterprise',1,'seat',1714867200000);
INSERT INTO "r_stripe_product" VALUES('stripe','prod_3GpOfWYBjSqRsI','products',1795219200000,1714867200000,0,1795219200000,1714867200000,X'B8B6E3DFA22A5ACA4B6E5360D8A67631','{}','Business',1,'seat',1714867200000);
INSERT INTO "r_stripe_product" VALUES('stripe','prod_XQOgBi8GdGOKWV','products',1795219200000,1714867200000,0,1795219200000,1714867200000,X'4AF7623D666BD2E3406499B60CE234B2','{}','Team',1,'seat',1714867200000);
INSERT INTO "r_stripe_product" VALUES('stripe','prod_iV8ydoz0ioE0AR','products',1795219200000,1714867200000,0,1795219200000,1714867200000,X'1E7FAE7619136E1728678C56E4990AAD','{}','Starter',1,'seat',1714867200000);
CREATE TABLE r_subscription ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "status" TEXT, "currency" TEXT, "mrr" INTEGER, "plan" TEXT, "quantity" INTEGER, "interval" TEXT, "interval_count" INTEGER, "started_at" INTEGER, "trial_end_at" INTEGER, "period_start_at" INTEGER, "period_end_at" INTEGER, "cancel_at_period_end" INTEGER, "cancel_at" INTEGER, "canceled_at" INTEGER, "ended_at" INTEGER, "end_reason" TEXT, "payment_method_ref" TEXT, PRIMARY KEY (instance, id)) STRICT;
INSERT INTO "r_subscription" VALUES('stripe','sub_19pr0FC4hIVGjdcmfl4nB0fb','subscriptions',1795219200000,NULL,0,1795219201001,1795219201001,X'7E7BE3B34A7F9FC41DEC4FA64C2B69FF','{"stripe_price":"price_1hH6UPVMyjjNxhzrusKD5w0P","stripe_product":"prod_XQOgBi8GdGOKWV"}','cus_V0LKKM4wDUsgpU','active','jpy',13500,'Team',10,'month',1,1773789364000,NULL,1794957364000,1797549364000,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "r_subscription" VALUES('stripe','sub_1N685X20nyEr6A85HrZo9816','subscriptions',1795219200000,NULL,0,1795219201001,1795219201001,X'CEC17E59AED74B46900EA18157E3E7B0','{"stripe_price":"price_1rcOi9eQq47F9RG8Y9q6hdL0","stripe_product":"prod_iV8ydoz0ioE0AR"}','cus_cn6Bj5TecqxD57','active','eur',1750,'Starter',1,'month',1,1767933596000,NULL,1794199196000,1796791196000,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "r_subscription" VALUES('stripe','sub_1baQyGka1x5mlhw6eYPcTFgq','subscriptions',1795222801000,1795222801000,0,1795222801001,1795222801000,X'04B4306182EE46260C62EFCDE12B1027','{"stripe_price":"price_18iNqlFKvkDtHhSfH8eNXaNf","stripe_product":"prod_XQOgBi8GdGOKWV"}','cus_8QnKZQVSReEkX2','past_due','usd',12750,'Team',17,'year',1,1743320143000,NULL,1806392143000,1838014543000,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "r_subscription" VALUES('stripe','sub_1l7ISUicTU796JBFgmbzYL3N','subscriptions',1795309201000,1795309201000,0,1795309201001,1795309201000,X'8AC1C6AD08A37759851D6F4BE4E4C358','{"stripe_price":"price_11Fl6G0yTGBsuaLmg09KBbjg","stripe_product":"prod_XQOgBi8GdGOKWV"}','cus_Tj0woPIq7zJMsE','past_due','gbp',14700,'Team',21,'month',1,1731834344000,NULL,1797498344000,1800176744000,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "r_subscription" VALUES('stripe','sub_1sGnvrg0Th84U0KSBNfYDx3z','subscriptions',1795219200000,NULL,0,1795219201001,1795219201001,X'C5A9D434F32C19E997DF8E5EE8B22DDF','{"stripe_price":"price_14jf501b04OxMFbbS6tyg69y","stripe_product":"prod_iV8ydoz0ioE0AR"}','cus_Rs0gJeKPUq9VyZ','active','gbp',4500,'Starter',3,'month',1,1762227334000,NULL,1793763334000,1796355334000,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "r_subscription" VALUES('stripe','sub_1wmfb4xknMtq77Lk1MspRLOk','subscriptions',1795219200000,NULL,0,1795219201001,1795219201001,X'699EF9DB42D5F39345F56D6F3C097770','{"stripe_price":"price_1mFMaDzXfJ2FDZDnFj0f3hOy","stripe_product":"prod_3GpOfWYBjSqRsI"}','cus_u49mpVA8ImZt7x','past_due','usd',38400,'Business',16,'month',1,1763121275000,NULL,1794657275000,1797249275000,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE r_survey_response ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "person_ref" TEXT, "kind" TEXT, "score" REAL, "scale_min" REAL, "scale_max" REAL, "answered_at" INTEGER, "comment" TEXT, "churn_intent" INTEGER, PRIMARY KEY (instance, id)) STRICT;
CREATE TABLE r_task ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "owner_ref" TEXT, "title" TEXT, "status" TEXT, "outcome" TEXT, "due_at" INTEGER, "created_at" INTEGER, "completed_at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
CREATE TABLE r_ticket ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "person_ref" TEXT, "status" TEXT, "created_at" INTEGER, "subject" TEXT, "channel" TEXT, "priority" TEXT, "tags" TEXT, "solved_at" INTEGER, "first_reply_minutes" INTEGER, "first_reply_business_minutes" INTEGER, "resolution_minutes" INTEGER, "resolution_business_minutes" INTEGER, "pending_minutes" INTEGER, "reopens" INTEGER, "churn_intent" INTEGER, PRIMARY KEY (instance, id)) STRICT;
CREATE TABLE r_timeline_event ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "kind" TEXT, "text" TEXT, "at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
CREATE TABLE r_touch ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "account_ref" TEXT, "person_ref" TEXT, "kind" TEXT, "channel" TEXT, "campaign" TEXT, "at" INTEGER, PRIMARY KEY (instance, id)) STRICT;
CREATE TABLE r_usage ("instance" TEXT NOT NULL, "id" TEXT NOT NULL, "stream" TEXT NOT NULL, "version" INTEGER NOT NULL, "updated_at" INTEGER, "deleted" INTEGER NOT NULL, "observed_at" INTEGER NOT NULL, "valid_from" INTEGER NOT NULL, "digest" BLOB NOT NULL, "extra" TEXT, "subject" TEXT, "account_ref" TEXT, "person_ref" TEXT, "event" TEXT, "day" TEXT, "count" INTEGER, PRIMARY KEY (instance, id)) STRICT;
CREATE TABLE rates (
	day TEXT NOT NULL, 
	base TEXT NOT NULL, 
	quote TEXT NOT NULL, 
	rate TEXT NOT NULL, 
	PRIMARY KEY (day, base, quote)
)
 STRICT

;
CREATE TABLE run_streams (
	run_id TEXT NOT NULL, 
	instance TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	state TEXT NOT NULL, 
	started_at INTEGER NOT NULL, 
	finished_at INTEGER, 
	read INTEGER DEFAULT '0' NOT NULL, 
	inserted INTEGER DEFAULT '0' NOT NULL, 
	updated INTEGER DEFAULT '0' NOT NULL, 
	unchanged INTEGER DEFAULT '0' NOT NULL, 
	deleted INTEGER DEFAULT '0' NOT NULL, 
	rejected INTEGER DEFAULT '0' NOT NULL, 
	error TEXT, 
	note TEXT, 
	PRIMARY KEY (run_id, instance, stream)
)
 STRICT

;
INSERT INTO "run_streams" VALUES('20261121T000000-1','stripe','customers','done',1795219200000,1795219200000,12,12,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T000000-1','stripe','subscriptions','done',1795219200000,1795219201001,6,6,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T000000-1','stripe','invoices','done',1795219200000,1795219200000,11,11,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T000000-1','stripe','payment_attempts','done',1795219200000,1795219201001,12,11,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T000000-1','stripe','payment_methods','done',1795219200000,1795219200100,6,6,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T000000-1','stripe','products','done',1795219200000,1795219200100,4,4,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T000000-1','stripe','prices','done',1795219200000,1795219200300,56,56,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T010001-2','stripe','customers','done',1795222801001,1795222801001,4,0,2,2,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T010001-2','stripe','subscriptions','done',1795222801001,1795222801001,1,0,1,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T010001-2','stripe','invoices','done',1795222801001,1795222801001,1,1,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T010001-2','stripe','payment_attempts','done',1795222801001,1795222801001,2,1,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T010001-2','stripe','payment_methods','done',1795222801001,1795222801001,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T010001-2','stripe','products','done',1795222801001,1795222801001,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261121T010001-2','stripe','prices','done',1795222801001,1795222801001,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261122T010001-3','stripe','customers','done',1795309201001,1795309201001,4,0,2,2,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261122T010001-3','stripe','subscriptions','done',1795309201001,1795309201001,1,0,1,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261122T010001-3','stripe','invoices','done',1795309201001,1795309201001,1,1,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261122T010001-3','stripe','payment_attempts','done',1795309201001,1795309201001,2,1,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261122T010001-3','stripe','payment_methods','done',1795309201001,1795309201001,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261122T010001-3','stripe','products','done',1795309201001,1795309201001,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "run_streams" VALUES('20261122T010001-3','stripe','prices','done',1795309201001,1795309201001,0,0,0,0,0,0,NULL,NULL);
CREATE TABLE runs (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	started_at INTEGER NOT NULL, 
	heartbeat_at INTEGER NOT NULL, 
	finished_at INTEGER, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	summary TEXT, 
	PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "runs" VALUES('20261121T000000-1','run','done',1795219200000,1795219201001,1795219201001,'a-host',32356,'107 rows of 7 streams; 6 scored, 6 changed, 0 held; 0 effects planned, 0 held; 0 effects delivered');
INSERT INTO "runs" VALUES('20261121T010001-2','run','done',1795222801001,1795222801001,1795222801001,'a-host',32356,'8 rows of 7 streams; 6 scored, 1 changed, 0 held; 2 effects planned, 0 held; 2 effects delivered');
INSERT INTO "runs" VALUES('20261122T010001-3','run','done',1795309201001,1795309201001,1795309201001,'a-host',32356,'8 rows of 7 streams; 6 scored, 6 changed, 0 held; 2 effects planned, 0 held; 2 effects delivered');
CREATE TABLE scores (
	seq INTEGER NOT NULL, 
	account TEXT NOT NULL, 
	scorer TEXT NOT NULL, 
	as_of TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	scorer_version TEXT NOT NULL, 
	config_digest TEXT NOT NULL, 
	value_milli INTEGER, 
	band TEXT, 
	held TEXT, 
	body TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	PRIMARY KEY (seq)
)
 STRICT

;
INSERT INTO "scores" VALUES(1,'acc_0e8cd596aefe14804c1d','health','2026-11-21',1795219201001,'20261121T000000-1','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_0e8cd596aefe14804c1d","value":"100.00","band":"green","coverage":0.7814,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.1185},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.1185},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1185},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.1185},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.079},{"measure":"card_expired_days","group":"billing","value":-71,"points":"0.00","text":"the card is good until 2027-01-31","weight":0.079},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1673},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1338},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0669}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-71,"card_expires_on":1801353600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":21,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":734,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(2,'acc_142c450a4c629aca790e','health','2026-11-21',1795219201001,'20261121T000000-1','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_142c450a4c629aca790e","value":"100.00","band":"green","coverage":0.7814,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.1185},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.1185},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1185},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.1185},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.079},{"measure":"card_expired_days","group":"billing","value":-191,"points":"0.00","text":"the card is good until 2027-05-31","weight":0.079},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1673},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1338},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0669}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-191,"card_expires_on":1811721600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":3,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":382,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(3,'acc_201ca7ee8fdeebac6697','health','2026-11-21',1795219201001,'20261121T000000-1','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',64000,'yellow',NULL,'{"account":"acc_201ca7ee8fdeebac6697","value":"64.00","band":"yellow","coverage":0.9739,"reference":"100","contributions":[{"measure":"past_due_subscriptions","group":"billing","value":1,"points":"-21.74","text":"payment trouble: subscriptions past due or unpaid: 1","weight":0.0856},{"measure":"failing_invoices","group":"billing","value":1,"points":"-5.99","text":"payment trouble: 1 open invoices could not be collected, 384.00 USD in all","weight":0.0856},{"measure":"failed_payments_30d","group":"billing","value":1,"points":"-4.28","text":"payment trouble: 1 failed payments in 30 days","weight":0.0856},{"measure":"days_failing","group":"billing","value":7,"points":"-3.99","text":"payment trouble: the oldest invoice that could not be collected is 7 days old","weight":0.057},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.0856},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.057},{"measure":"card_expired_days","group":"billing","value":-1501,"points":"0.00","text":"the card is good until 2030-12-31","weight":0.057},{"measure":"payment_methods","group":"billing","value":1,"points":"0.00","text":"payment methods on file: 1","weight":0.057},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1342},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1074},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0537},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"384.00 USD a month, a month ago 384.00 USD","weight":0.0805},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"384.00 USD a month, a quarter ago 384.00 USD","weight":0.0537}],"note":"card default; no data on usage, support, satisfaction; unknown: touches","carry":{"past.mrr":"2026-11-21=38400"}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-1501,"card_expires_on":1924905600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":7,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":1,"failing_amount":38400,"failing_invoices":1,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":38400,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":1,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":16,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":372,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(4,'acc_7dcdeec2b93bf5ca9e9a','health','2026-11-21',1795219201001,'20261121T000000-1','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_7dcdeec2b93bf5ca9e9a","value":"100.00","band":"green","coverage":0.9739,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.0951},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.0951},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.0951},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.0951},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.0634},{"measure":"card_expired_days","group":"billing","value":-313,"points":"0.00","text":"the card is good until 2027-09-30","weight":0.0634},{"measure":"payment_methods","group":"billing","value":1,"points":"0.00","text":"payment methods on file: 1","weight":0.0634},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1342},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1074},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0537},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"127.50 USD a month, a month ago 127.50 USD","weight":0.0805},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"127.50 USD a month, a quarter ago 127.50 USD","weight":0.0537}],"note":"card default; no data on usage, support, satisfaction; unknown: touches","carry":{"past.mrr":"2026-11-21=12750"}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-313,"card_expires_on":1822262400000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":12750,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":17,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":601,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(5,'acc_85bb956eac201ca1b48b','health','2026-11-21',1795219201001,'20261121T000000-1','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_85bb956eac201ca1b48b","value":"100.00","band":"green","coverage":0.7814,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.1185},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.1185},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1185},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.1185},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.079},{"measure":"card_expired_days","group":"billing","value":-983,"points":"0.00","text":"the card is good until 2029-07-31","weight":0.079},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1673},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1338},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0669}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-983,"card_expires_on":1880150400000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":10,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":249,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(6,'acc_aee3f99a969a28ad9b51','health','2026-11-21',1795219201001,'20261121T000000-1','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_aee3f99a969a28ad9b51","value":"100.00","band":"green","coverage":0.7814,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.1185},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.1185},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1185},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.1185},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.079},{"measure":"card_expired_days","group":"billing","value":-1501,"points":"0.00","text":"the card is good until 2030-12-31","weight":0.079},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1673},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1338},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0669}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-1501,"card_expires_on":1924905600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":1,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":316,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(7,'acc_7dcdeec2b93bf5ca9e9a','health','2026-11-21',1795222801001,'20261121T010001-2','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',64000,'yellow',NULL,'{"account":"acc_7dcdeec2b93bf5ca9e9a","value":"64.00","band":"yellow","coverage":0.9739,"reference":"100","contributions":[{"measure":"past_due_subscriptions","group":"billing","value":1,"points":"-23.45","text":"payment trouble: subscriptions past due or unpaid: 1","weight":0.0856},{"measure":"failing_invoices","group":"billing","value":1,"points":"-5.99","text":"payment trouble: 1 open invoices could not be collected, 1,530.00 USD in all","weight":0.0856},{"measure":"failed_payments_30d","group":"billing","value":1,"points":"-4.28","text":"payment trouble: 1 failed payments in 30 days","weight":0.0856},{"measure":"days_failing","group":"billing","value":0,"points":"-2.28","text":"payment trouble: the oldest invoice that could not be collected is 0 days old","weight":0.057},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.0856},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.057},{"measure":"card_expired_days","group":"billing","value":-313,"points":"0.00","text":"the card is good until 2027-09-30","weight":0.057},{"measure":"payment_methods","group":"billing","value":1,"points":"0.00","text":"payment methods on file: 1","weight":0.057},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1342},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1074},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0537},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"127.50 USD a month, a month ago 127.50 USD","weight":0.0805},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"127.50 USD a month, a quarter ago 127.50 USD","weight":0.0537}],"note":"card default; no data on usage, support, satisfaction; unknown: touches","carry":{"past.mrr":"2026-11-21=12750"}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-313,"card_expires_on":1822262400000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":0,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":1,"failing_amount":153000,"failing_invoices":1,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":12750,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":1,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":17,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":601,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(8,'acc_0e8cd596aefe14804c1d','health','2026-11-22',1795309201001,'20261122T010001-3','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',64000,'yellow',NULL,'{"account":"acc_0e8cd596aefe14804c1d","value":"64.00","band":"yellow","coverage":0.7876,"reference":"100","contributions":[{"measure":"past_due_subscriptions","group":"billing","value":1,"points":"-20.48","text":"payment trouble: subscriptions past due or unpaid: 1","weight":0.1058},{"measure":"failing_invoices","group":"billing","value":1,"points":"-7.41","text":"payment trouble: 1 open invoices could not be collected, unknown in all","weight":0.1058},{"measure":"failed_payments_30d","group":"billing","value":1,"points":"-5.29","text":"payment trouble: 1 failed payments in 30 days","weight":0.1058},{"measure":"days_failing","group":"billing","value":0,"points":"-2.82","text":"payment trouble: the oldest invoice that could not be collected is 0 days old","weight":0.0705},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1058},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.0705},{"measure":"card_expired_days","group":"billing","value":-70,"points":"0.00","text":"the card is good until 2027-01-31","weight":0.0705},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.166},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1328},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0664}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-70,"card_expires_on":1801353600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":0,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":1,"failing_amount":null,"failing_invoices":1,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":1,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":21,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":735,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","failing_amount":"no_rate","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(9,'acc_142c450a4c629aca790e','health','2026-11-22',1795309201001,'20261122T010001-3','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_142c450a4c629aca790e","value":"100.00","band":"green","coverage":0.7814,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.1185},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.1185},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1185},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.1185},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.079},{"measure":"card_expired_days","group":"billing","value":-190,"points":"0.00","text":"the card is good until 2027-05-31","weight":0.079},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1673},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1338},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0669}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-190,"card_expires_on":1811721600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":3,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":383,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(10,'acc_201ca7ee8fdeebac6697','health','2026-11-22',1795309201001,'20261122T010001-3','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',64000,'yellow',NULL,'{"account":"acc_201ca7ee8fdeebac6697","value":"64.00","band":"yellow","coverage":0.9739,"reference":"100","contributions":[{"measure":"past_due_subscriptions","group":"billing","value":1,"points":"-21.62","text":"payment trouble: subscriptions past due or unpaid: 1","weight":0.0856},{"measure":"failing_invoices","group":"billing","value":1,"points":"-5.99","text":"payment trouble: 1 open invoices could not be collected, 384.00 USD in all","weight":0.0856},{"measure":"failed_payments_30d","group":"billing","value":1,"points":"-4.28","text":"payment trouble: 1 failed payments in 30 days","weight":0.0856},{"measure":"days_failing","group":"billing","value":8,"points":"-4.11","text":"payment trouble: the oldest invoice that could not be collected is 8 days old","weight":0.057},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.0856},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.057},{"measure":"card_expired_days","group":"billing","value":-1500,"points":"0.00","text":"the card is good until 2030-12-31","weight":0.057},{"measure":"payment_methods","group":"billing","value":1,"points":"0.00","text":"payment methods on file: 1","weight":0.057},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1342},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1074},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0537},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"384.00 USD a month, a month ago 384.00 USD","weight":0.0805},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"384.00 USD a month, a quarter ago 384.00 USD","weight":0.0537}],"note":"card default; no data on usage, support, satisfaction; unknown: touches","carry":{"past.mrr":"2026-11-21=38400"}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-1500,"card_expires_on":1924905600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":8,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":1,"failing_amount":38400,"failing_invoices":1,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":38400,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":1,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":16,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":373,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(11,'acc_7dcdeec2b93bf5ca9e9a','health','2026-11-22',1795309201001,'20261122T010001-3','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',64000,'yellow',NULL,'{"account":"acc_7dcdeec2b93bf5ca9e9a","value":"64.00","band":"yellow","coverage":0.9739,"reference":"100","contributions":[{"measure":"past_due_subscriptions","group":"billing","value":1,"points":"-23.20","text":"payment trouble: subscriptions past due or unpaid: 1","weight":0.0856},{"measure":"failing_invoices","group":"billing","value":1,"points":"-5.99","text":"payment trouble: 1 open invoices could not be collected, 1,530.00 USD in all","weight":0.0856},{"measure":"failed_payments_30d","group":"billing","value":1,"points":"-4.28","text":"payment trouble: 1 failed payments in 30 days","weight":0.0856},{"measure":"days_failing","group":"billing","value":1,"points":"-2.53","text":"payment trouble: the oldest invoice that could not be collected is 1 day old","weight":0.057},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.0856},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.057},{"measure":"card_expired_days","group":"billing","value":-312,"points":"0.00","text":"the card is good until 2027-09-30","weight":0.057},{"measure":"payment_methods","group":"billing","value":1,"points":"0.00","text":"payment methods on file: 1","weight":0.057},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1342},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1074},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0537},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"127.50 USD a month, a month ago 127.50 USD","weight":0.0805},{"measure":"mrr","group":"engagement","value":1.0,"points":"0.00","text":"127.50 USD a month, a quarter ago 127.50 USD","weight":0.0537}],"note":"card default; no data on usage, support, satisfaction; unknown: touches","carry":{"past.mrr":"2026-11-21=12750"}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-312,"card_expires_on":1822262400000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":1,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":1,"failing_amount":153000,"failing_invoices":1,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":12750,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":1,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":17,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":602,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(12,'acc_85bb956eac201ca1b48b','health','2026-11-22',1795309201001,'20261122T010001-3','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_85bb956eac201ca1b48b","value":"100.00","band":"green","coverage":0.7814,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.1185},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.1185},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1185},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.1185},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.079},{"measure":"card_expired_days","group":"billing","value":-982,"points":"0.00","text":"the card is good until 2029-07-31","weight":0.079},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1673},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1338},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0669}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-982,"card_expires_on":1880150400000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":10,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":250,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
INSERT INTO "scores" VALUES(13,'acc_aee3f99a969a28ad9b51','health','2026-11-22',1795309201001,'20261122T010001-3','1','acbe7a5f529a0efda25fd9370adb60da9dd2852e3a00565d30153ab56cdfa5d8',100000,'green',NULL,'{"account":"acc_aee3f99a969a28ad9b51","value":"100.00","band":"green","coverage":0.7814,"reference":"100","contributions":[{"measure":"failed_payments_30d","group":"billing","value":0,"points":"0.00","text":"no failed payment in 30 days","weight":0.1185},{"measure":"failing_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice waits to be collected","weight":0.1185},{"measure":"late_invoices","group":"billing","value":0,"points":"0.00","text":"no invoice past due","weight":0.1185},{"measure":"past_due_subscriptions","group":"billing","value":0,"points":"0.00","text":"no subscription past due","weight":0.1185},{"measure":"uncollectible_invoices_90d","group":"billing","value":0,"points":"0.00","text":"no invoice given up in 90 days","weight":0.079},{"measure":"card_expired_days","group":"billing","value":-1500,"points":"0.00","text":"the card is good until 2030-12-31","weight":0.079},{"measure":"cancelling","group":"engagement","value":false,"points":"0.00","text":"no subscription is set to end","weight":0.1673},{"measure":"active_subscriptions","group":"engagement","value":1,"points":"0.00","text":"running subscriptions: 1","weight":0.1338},{"measure":"paused_subscriptions","group":"engagement","value":0,"points":"0.00","text":"no subscription paused","weight":0.0669}],"note":"card default; no data on usage, support, satisfaction; unknown: no_payment_method, mrr_trend_28d, mrr_trend_90d, touches","carry":{}}','{"cells":{"active_days_28d":null,"active_days_before_84d":null,"active_subscriptions":1,"cancelling":false,"cancels_at":null,"card_expired_days":-1500,"card_expires_on":1924905600000,"csat_age_days":null,"csat_high":null,"csat_low":null,"csat_score":null,"days_failing":null,"days_past_due":null,"days_since_use":null,"events_28d":null,"events_before_28d":null,"failed_payments_30d":0,"failing_amount":0,"failing_invoices":0,"late_amount":0,"late_invoices":0,"manual_invoices_365d":0,"mrr":null,"nps_age_days":null,"nps_high":null,"nps_low":null,"nps_score":null,"open_tickets":null,"past_due_subscriptions":0,"paused_subscriptions":0,"payment_methods":1,"reopens_28d":null,"seats_active":null,"seats_bought":1,"subscriptions":1,"survey_churn_intent_90d":null,"tenure_days":317,"ticket_churn_intent_60d":null,"tickets_28d":null,"tickets_before_84d":null,"touches_90d":null,"uncollectible_invoices_90d":0},"gaps":{"active_days_28d":"none","active_days_before_84d":"none","cancels_at":"none","csat_age_days":"none","csat_high":"none","csat_low":"none","csat_score":"none","days_failing":"none","days_past_due":"none","days_since_use":"none","events_28d":"none","events_before_28d":"none","mrr":"no_rate","nps_age_days":"none","nps_high":"none","nps_low":"none","nps_score":"none","open_tickets":"none","reopens_28d":"none","seats_active":"none","survey_churn_intent_90d":"none","ticket_churn_intent_60d":"none","tickets_28d":"none","tickets_before_84d":"none","touches_90d":"none"}}');
CREATE TABLE seen (
	instance TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	type TEXT NOT NULL, 
	id TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	PRIMARY KEY (instance, stream, type, id)
)
 STRICT

;
CREATE TABLE sent_messages (
	seq INTEGER NOT NULL, 
	address_digest TEXT NOT NULL, 
	account TEXT, 
	purpose TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (seq)
)
 STRICT

;
INSERT INTO "sent_messages" VALUES(1,'ffebf89b95821210796d952faea890f63339709ff45c771fb9df626681e20f8d','acc_7dcdeec2b93bf5ca9e9a','transactional',1795222801001);
INSERT INTO "sent_messages" VALUES(2,'ffebf89b95821210796d952faea890f63339709ff45c771fb9df626681e20f8d','acc_0e8cd596aefe14804c1d','transactional',1795309201001);
CREATE TABLE staged (
	seq INTEGER NOT NULL, 
	instance TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	type TEXT NOT NULL, 
	id TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq)
)
 STRICT

;
CREATE TABLE suppressions (
	address_digest TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (address_digest)
)
 STRICT

;
CREATE TABLE tokens (
	instance TEXT NOT NULL, 
	name TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	updated_at INTEGER NOT NULL, 
	PRIMARY KEY (instance, name)
)
 STRICT

;
CREATE TABLE tombstones (
	digest TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (digest)
)
 STRICT

;
CREATE TABLE unprimed (
	policy TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	PRIMARY KEY (policy, subject)
)
 STRICT

;
CREATE TABLE volumes (
	instance TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	day TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	PRIMARY KEY (instance, stream, kind, day)
)
 STRICT

;
INSERT INTO "volumes" VALUES('stripe','invoices','full','2026-11-21',11);
INSERT INTO "volumes" VALUES('stripe','customers','full','2026-11-21',12);
INSERT INTO "volumes" VALUES('stripe','payment_methods','full','2026-11-21',6);
INSERT INTO "volumes" VALUES('stripe','products','full','2026-11-21',4);
INSERT INTO "volumes" VALUES('stripe','prices','full','2026-11-21',56);
INSERT INTO "volumes" VALUES('stripe','subscriptions','full','2026-11-21',6);
INSERT INTO "volumes" VALUES('stripe','payment_attempts','full','2026-11-21',12);
INSERT INTO "volumes" VALUES('stripe','customers','read','2026-11-21',4);
INSERT INTO "volumes" VALUES('stripe','payment_methods','read','2026-11-21',0);
INSERT INTO "volumes" VALUES('stripe','products','read','2026-11-21',0);
INSERT INTO "volumes" VALUES('stripe','prices','read','2026-11-21',0);
INSERT INTO "volumes" VALUES('stripe','invoices','read','2026-11-21',1);
INSERT INTO "volumes" VALUES('stripe','subscriptions','read','2026-11-21',1);
INSERT INTO "volumes" VALUES('stripe','payment_attempts','read','2026-11-21',2);
INSERT INTO "volumes" VALUES('stripe','payment_methods','read','2026-11-22',0);
INSERT INTO "volumes" VALUES('stripe','products','read','2026-11-22',0);
INSERT INTO "volumes" VALUES('stripe','prices','read','2026-11-22',0);
INSERT INTO "volumes" VALUES('stripe','customers','read','2026-11-22',4);
INSERT INTO "volumes" VALUES('stripe','invoices','read','2026-11-22',1);
INSERT INTO "volumes" VALUES('stripe','subscriptions','read','2026-11-22',1);
INSERT INTO "volumes" VALUES('stripe','payment_attempts','read','2026-11-22',2);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX run_streams_by_stream ON run_streams (instance, stream, started_at);
CREATE INDEX staged_by_stream ON staged (instance, stream, scope, seq);
CREATE INDEX inbox_open ON inbox (instance, stream, done_at);
CREATE INDEX dead_letters_by_state ON dead_letters (state, instance, stream, record_id);
CREATE INDEX accounts_by_name ON accounts (name);
CREATE INDEX links_by_account ON links (account, type);
CREATE INDEX manual_links_by_b ON manual_links (b_instance, b_id);
CREATE INDEX scores_by_account ON scores (account, scorer, as_of, seq);
CREATE INDEX overrides_by_account ON overrides (account, scorer);
CREATE INDEX policy_states_wake ON policy_states (wake_at);
CREATE INDEX policy_facts_by_time ON policy_facts (policy, at, type, instance, id);
CREATE INDEX outbox_by_account ON outbox (account);
CREATE INDEX outbox_by_run ON outbox (run_id);
CREATE INDEX outbox_by_state ON outbox (state, capability, seq);
CREATE INDEX outbox_by_target ON outbox (instance, target_id, capability);
CREATE INDEX outbox_untold ON outbox (policy, told);
CREATE INDEX sent_messages_by_address ON sent_messages (address_digest, at);
CREATE INDEX audit_bodies_by_subject ON audit_bodies (subject);
CREATE INDEX r_account_email ON r_account (instance, email);
CREATE INDEX r_person_account ON r_person (instance, account_ref);
CREATE INDEX r_person_email ON r_person (instance, email);
CREATE INDEX r_subscription_account ON r_subscription (instance, account_ref);
CREATE INDEX r_invoice_account ON r_invoice (instance, account_ref);
CREATE INDEX r_payment_attempt_account ON r_payment_attempt (instance, account_ref);
CREATE INDEX r_payment_method_account ON r_payment_method (instance, account_ref);
CREATE INDEX r_ticket_account ON r_ticket (instance, account_ref);
CREATE INDEX r_ticket_person ON r_ticket (instance, person_ref) WHERE account_ref IS NULL;
CREATE INDEX r_usage_account ON r_usage (instance, account_ref);
CREATE INDEX r_usage_person ON r_usage (instance, person_ref) WHERE account_ref IS NULL;
CREATE INDEX r_usage_day ON r_usage (instance, day);
CREATE INDEX r_survey_response_account ON r_survey_response (instance, account_ref);
CREATE INDEX r_survey_response_person ON r_survey_response (instance, person_ref) WHERE account_ref IS NULL;
CREATE INDEX r_touch_account ON r_touch (instance, account_ref);
CREATE INDEX r_touch_person ON r_touch (instance, person_ref) WHERE account_ref IS NULL;
CREATE INDEX r_task_account ON r_task (instance, account_ref);
CREATE INDEX r_timeline_event_account ON r_timeline_event (instance, account_ref);
CREATE INDEX r_account_external ON r_account (external_id);
CREATE INDEX measure_r_subscription_c4cd100b ON r_subscription (instance, account_ref, "cancel_at", "cancel_at_period_end", "currency", "deleted", "mrr", "quantity", "status");
CREATE INDEX measure_r_payment_attempt_e66287ef ON r_payment_attempt (instance, account_ref, "attempted_at", "deleted", "status");
CREATE INDEX measure_r_invoice_09f48e24 ON r_invoice (instance, account_ref, "created_at", "amount_remaining", "attempt_count", "collection", "currency", "deleted", "due_at", "status");
CREATE INDEX measure_r_payment_method_bf191841 ON r_payment_method (instance, account_ref, "deleted", "expires_on", "is_default");
CREATE INDEX measure_r_usage_3a1b89d8 ON r_usage (instance, (COALESCE('account:' || account_ref, 'person:' || person_ref)), "day", "count", "deleted", "subject");
CREATE INDEX measure_r_ticket_802c0ebb ON r_ticket (instance, (COALESCE('account:' || account_ref, 'person:' || person_ref)), "created_at", "churn_intent", "deleted", "reopens", "solved_at");
CREATE INDEX measure_r_survey_response_a62ace54 ON r_survey_response (instance, (COALESCE('account:' || account_ref, 'person:' || person_ref)), "answered_at", "churn_intent", "deleted", "kind", "scale_max", "scale_min", "score");
CREATE INDEX measure_r_touch_a08f45f0 ON r_touch (instance, (COALESCE('account:' || account_ref, 'person:' || person_ref)), "at", "deleted", "kind");
COMMIT;
