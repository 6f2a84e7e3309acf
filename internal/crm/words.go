package crm

// The vocabulary. Companies and people are put together from common parts;
// the domains are those that RFC 2606 reserves.

var firstNames = []string{
	"Kari", "Ola", "Björk", "Ærlig", "Øystein", "Åse", "Søren", "Jørgen", "Håkon", "Ingrid", "Lars", "Anna-Karin",
	"Göran", "Märta", "Þórunn", "Guðrún", "Jón", "Sigríður", "Päivi", "Jukka", "Väinö", "Zoë", "François", "Noémie",
	"Łukasz", "Żaneta", "Małgorzata", "Jiří", "Šárka", "Dvořák", "Márton", "Zsófia", "Ștefan", "Ioana", "Ñusta", "José",
	"Nuño", "Ελένη", "Γιώργος", "Дмитрий", "Ольга", "İbrahim", "Ayşe", "太郎", "花子", "민준", "美玲", "محمد", "נועה",
	"D'Arcy", "Siân", "Seán", "Jean-Luc", "Mary Ann", "Per", "Pål", "Marit", "Bjørn", "Thor", "Emma",
}

var lastNames = []string{
	"Nordmann", "Ängström", "Øl", "Ås", "Bjørnstad", "Sørensen", "Kjær", "Åkesson", "Öberg", "Lindqvist", "Hämäläinen",
	"Mäkelä", "Guðmundsdóttir", "Þorláksson", "O'Brien", "O'Neill", "D'Angelo", "van 't Hoff", "von der Heyde", "Müller",
	"Weiß", "Groß", "Łódzki", "Wałęsa", "Kowalczyk", "Dvořáková", "Škoda", "Nagy", "Szűcs", "Țepeș", "Muñoz", "Peña",
	"García-Márquez", "Gonçalves", "Παπαδόπουλος", "Οικονόμου", "Иванов", "Щербакова", "Çelik", "Yıldız", "山田", "佐藤",
	"김", "王", "حسن", "כהן", "Smith", "MacDonald", "Hansen", "Johansen", "Olsen", "Larsen", "Berg", "Haugen", "Dahl",
	"Lie", "Moe", "Sæther", "Strøm", "Null",
}

var middleNames = []string{"", "A.", "B.", "Marie", "von", "Ærø", "Åge", "de la", "O'", "李"}

var companyHeads = []string{
	"Ærlig Øl", "Björk & Ängström", "Nordlys", "Fjord", "Blåbær", "Sjøfarten", "Łódź", "Ελλάδα", "Åkerblom", "Öresund",
	"Þingvellir", "Hämeenlinna", "O'Reilly", "D'Orsay", "Kværn", "Süd", "Façade", "Ромашка", "株式会社", "北京", "한빛",
	"النور", "אור", "Trygg", "Stål", "Grønn", "Havbris", "Smørbrød", "Tømmer", "Bærekraft", "Polar", "Viking", "Skog",
	"Vest", "Østlandet", "Midt-Norge", "Kjøtt", "Snø", "3Q", "A1",
}

var companyMiddles = []string{
	"Bygg", "Shipping", "Möbler", "Consulting", "Energi", "Logistikk", "Data", "Trä", "Café", "Fisk", "Eiendom",
	"Regnskap", "Arkitekter", "Meble", "Αφοί", "山田製作所", "Elektro", "Media", "Farmasi", "Bakeri", "Transport", "Verksted",
	"Advokatfirma", "Rør", "Maskin", "Reklame", "Tannlegene", "Sport", "Barnehage", "Hotell",
}

var companySuffixes = []string{
	" AS", " AS", " AS", " ASA", " AB", " AB", " A/S", " ApS", " Oy", " GmbH", " GmbH & Co. KG", " B.V.", " Ltd", " Ltd.",
	" Sp. z o.o.", " s.r.o.", " Α.Ε.", " ehf.", " S.à r.l.", "",
}

// odd are texts that go wrong in code pages, quoting, collations and UTF-16.
var odd = []string{
	"𝒳-Labs 🚀", "👩‍👩‍👧 family", "😀", "𠮷野家", "～before 𝒳 in UTF-16", "O'Hara's \"Place\"", "'; DROP TABLE contact; --",
	"%_[a-z]^", "a\\b", "tab\there", "two\r\nlines", "e\u0301 is not \u00e9", "\u00e9 is not e\u0301", "ſ K Å ß ẞ", "İi Iı",
	"NULL", "<null>", "?", "\u00a0", " leading", "\u200bzero width", "\ufeffmark", "\u202eright to left", "\ue000", "\ufffd",
	"<b>&amp;</b>", "0", "1e5", "{{name}}", "Straße", "STRASSE", "ǆ ǅ Ǆ", "ﬁ", "Ω Ω",
}

type place struct{ zip, city, county string }

var places = []place{
	{"0150", "Oslo", "Oslo"}, {"5003", "Bergen", "Vestland"}, {"7011", "Trondheim", "Trøndelag"}, {"9008", "Tromsø", "Troms"},
	{"6002", "Ålesund", "Møre og Romsdal"}, {"3111", "Tønsberg", "Vestfold"}, {"411 03", "Göteborg", "Västra Götaland"},
	{"111 20", "Stockholm", "Stockholm"}, {"211 20", "Malmö", "Skåne"}, {"90326", "Umeå", "Västerbotten"},
	{"1050", "København K", "Hovedstaden"}, {"8000", "Aarhus C", "Midtjylland"}, {"9000", "Ålborg", "Nordjylland"},
	{"00100", "Helsinki", "Uusimaa"}, {"20100", "Åbo", "Egentliga Finland"}, {"101", "Reykjavík", ""},
	{"80331", "München", "Bayern"}, {"50667", "Köln", "NRW"}, {"8001", "Zürich", "ZH"}, {"1012 AB", "Amsterdam", "NH"},
	{"4811 XE", "'s-Hertogenbosch", "NB"}, {"90-001", "Łódź", "łódzkie"}, {"602 00", "Brno", "Jihomoravský"},
	{"105 57", "Αθήνα", "Αττική"}, {"100-0001", "東京", "千代田区"}, {"SW1A 1AA", "London", "Greater London"},
}

var streets = []string{
	"Storgata", "Øvre Slottsgate", "Karl Johans gate", "Sjøgata", "Ærfuglveien", "Åsveien", "Kungsgatan", "Södra vägen",
	"Nørregade", "Strandvejen", "Mannerheimvägen", "Straße des 17. Juni", "ul. Piotrkowska", "Οδός Ερμού", "Place de l'Étoile",
	"St. Olav's gate", "丸の内", "Náměstí Míru",
}

var titles = []string{
	"Daglig leder", "Økonomisjef", "Säljare", "Försäljningschef", "Direktør", "Geschäftsführer", "CEO", "CTO", "Innkjøper",
	"Rådgiver", "Kundeansvarlig", "Toimitusjohtaja", "Prezes zarządu", "Projektleder", "Markedssjef", "Lærling",
}

var salutations = []string{"", "Mr.", "Ms.", "Hr.", "Fru", "Dr.", "Herr", "Frau", "Kjære", "Bästa"}

var headings = []string{
	"Tilbud på øl", "Årsavtale", "Fornyelse av avtale", "Uppföljning av möte", "Demo for ledelsen", "Kjøp av lisenser",
	"Reklamasjon: ødelagt pall", "Fråga om faktura", "Login doesn't work", "Kan ikke logge inn", "Angebot für Küche",
	"Ny kontaktperson", "Prøveperiode", "Budget næste år", "Zapytanie ofertowe", "Re: Re: Fwd: møte", "Lunsj?", "見積もり",
}

var departments = []string{"Salg", "Innkjøp", "Økonomi", "IT", "Försäljning", "Markedsføring", "R&D", "HR", "Østfold", "Kundeservice", ""}

var logins = []string{
	"kari.nordmann", "ola", "b.angstrom", "post", "info", "faktura", "soren", "j.kjaer", "support", "ingrid_b", "lars+crm",
	"o'brien", "anna-karin", "h.dahl", "salg", "kundeservice",
}

var domains = []string{"example.com", "example.no", "example.org", "example.net", "mail.example.se", "øl.example", "sub.domain.example"}

var fileNames = []string{"Tilbud", "Møtereferat", "Kontrakt", "Følgebrev", "Prisliste", "Årsrapport", "Ordrebekreftelse", "Avtal", "見積書"}
var fileTypes = []string{".docx", ".xlsx", ".pdf", ".pptx", ".msg", ".DOCX", ".txt"}
var mimeTypes = []string{"image/png", "image/jpeg", "application/pdf", "application/octet-stream", "image/svg+xml", "text/plain; charset=utf-8"}
var languages = []string{"nb", "nb-NO", "sv-SE", "da-DK", "fi-FI", "en-US", "de-DE", "pl-PL", ""}

var categories = []string{
	"Kunde", "Potensiell kunde", "Leverandør", "Partner", "Konkurrent", "Presse", "Tidligere kunde", "Forhandler",
	"Offentlig etat", "Ansatt", "Vänförening", "Øvrige",
}

var businesses = []string{
	"Bygg og anlegg", "Bank og forsikring", "Detaljhandel", "Energi", "Fiskeri og havbruk", "Helse", "Hotell og restaurant",
	"Industri", "IT", "Jordbruk", "Kultur", "Media", "Offentlig forvaltning", "Olje og gass", "Organisasjoner", "Rådgivning",
	"Shipping", "Telekommunikasjon", "Transport", "Undervisning", "Varehandel", "Øvrig",
}

type country struct {
	name, english, abbrev2, abbrev3 string
	number                          int64 // of ISO 3166
	dial                            string
	lcid                            int64
}

var countries = []country{
	{"Norge", "Norway", "NO", "NOR", 578, "47", 1044}, {"Sverige", "Sweden", "SE", "SWE", 752, "46", 1053},
	{"Danmark", "Denmark", "DK", "DNK", 208, "45", 1030}, {"Suomi", "Finland", "FI", "FIN", 246, "358", 1035},
	{"Ísland", "Iceland", "IS", "ISL", 352, "354", 1039}, {"Føroyar", "Faroe Islands", "FO", "FRO", 234, "298", 1080},
	{"Deutschland", "Germany", "DE", "DEU", 276, "49", 1031}, {"Nederland", "Netherlands", "NL", "NLD", 528, "31", 1043},
	{"België", "Belgium", "BE", "BEL", 56, "32", 2067}, {"France", "France", "FR", "FRA", 250, "33", 1036},
	{"United Kingdom", "United Kingdom", "GB", "GBR", 826, "44", 2057}, {"Éire", "Ireland", "IE", "IRL", 372, "353", 6153},
	{"España", "Spain", "ES", "ESP", 724, "34", 3082}, {"Portugal", "Portugal", "PT", "PRT", 620, "351", 2070},
	{"Italia", "Italy", "IT", "ITA", 380, "39", 1040}, {"Schweiz", "Switzerland", "CH", "CHE", 756, "41", 2055},
	{"Österreich", "Austria", "AT", "AUT", 40, "43", 3079}, {"Polska", "Poland", "PL", "POL", 616, "48", 1045},
	{"Česko", "Czechia", "CZ", "CZE", 203, "420", 1029}, {"Slovensko", "Slovakia", "SK", "SVK", 703, "421", 1051},
	{"Magyarország", "Hungary", "HU", "HUN", 348, "36", 1038}, {"România", "Romania", "RO", "ROU", 642, "40", 1048},
	{"България", "Bulgaria", "BG", "BGR", 100, "359", 1026}, {"Ελλάδα", "Greece", "GR", "GRC", 300, "30", 1032},
	{"Türkiye", "Türkiye", "TR", "TUR", 792, "90", 1055}, {"Eesti", "Estonia", "EE", "EST", 233, "372", 1061},
	{"Latvija", "Latvia", "LV", "LVA", 428, "371", 1062}, {"Lietuva", "Lithuania", "LT", "LTU", 440, "370", 1063},
	{"Україна", "Ukraine", "UA", "UKR", 804, "380", 1058}, {"日本", "Japan", "JP", "JPN", 392, "81", 1041},
	{"中国", "China", "CN", "CHN", 156, "86", 2052}, {"대한민국", "South Korea", "KR", "KOR", 410, "82", 1042},
	{"ישראל", "Israel", "IL", "ISR", 376, "972", 1037}, {"السعودية", "Saudi Arabia", "SA", "SAU", 682, "966", 1025},
	{"ประเทศไทย", "Thailand", "TH", "THA", 764, "66", 1054}, {"Côte d'Ivoire", "Ivory Coast", "CI", "CIV", 384, "225", 12300},
	{"United States", "United States", "US", "USA", 840, "1", 1033}, {"Canada", "Canada", "CA", "CAN", 124, "1", 4105},
	{"Brasil", "Brazil", "BR", "BRA", 76, "55", 1046}, {"Australia", "Australia", "AU", "AUS", 36, "61", 3081},
}

// sentences are what running text is put together from.
var sentences = []string{
	"Takk for hyggelig møte i går. ", "Vi ser frem til å høre fra dere innen fredag. ", "Kunden ønsker tilbud på 200 paller øl. ",
	"Hej, jag undrar över fakturan från förra månaden. ", "Återkommer så snart vi har fått svar från lagret. ",
	"Bestillingen ble sendt på nytt den 29. februar. ", "Æ e i Å, æ å. ", "He said: \"it's done\", but it isn't. ",
	"Vi har flyttat till större lokaler på Södra vägen. ", "Können Sie uns bitte die Unterlagen für die Prüfung schicken? ",
	"Straße und Hausnummer fehlen noch. ", "Zażółć gęślą jaźń. ", "Ευχαριστούμε για την παραγγελία. ", "ご注文ありがとうございます。 ",
	"Спасибо за быстрый ответ! ", "Ring meg på mobilen etter klokken tre 😀 ", "Please see the attached file 📎. ", "100 % < 200 & > 50; ",
	"Prisen er 1 234,50 kr eks. mva. ", "Møtet er utsatt p.g.a. sykdom.\r\n", "Hilsen\r\nSøren\r\n\r\n", "Hyvää päivää, kiitos tarjouksesta. ",
	"Le café est servi à l'étage. ", "No answer; call again next week. ", "Avtalen fornyes automatisk hvert år. ", "OK. ", "Ja takk! ",
	"Vi trenger en ny kontaktperson hos dere. ", "Referat: budsjett, årsplan, eventuelt.\r\n", "Formula is 𝑎² + 𝑏² = 𝑐². ",
}
