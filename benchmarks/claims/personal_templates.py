"""Sentences around personal data and around numbers that only look like it, in two disjoint sets.

DEVELOP is what the finder was written against; HELDOUT has other wording, and only its score is reported. A line is
`maker: sentence`, where {v} is the value that the maker of this name draws (`personal_sentences.py`). `any` takes a value of
any kind whose form speaks for itself, `number` any of the harmless numbers that a sentence without a noun may hold.
"""

DEVELOP = {
    "pt": """
any: Anota aí: {v}, por favor.
any: Ontem ele me passou {v} e sumiu.
any: Segue o que você pediu: {v}.
any: {v} foi o que consegui descobrir.
any: Maria Souza ({v}) assinou a ata.
any: Favor conferir {v} antes de sexta-feira.
any: Na planilha consta {v}, mas não tenho certeza.
any: João da Silva - {v}
cpf: O CPF do cliente é {v}.
cpf: CPF: {v}
cpf: Inscrito no CPF sob o nº {v}, residente em Recife.
cpf: Qual o seu CPF? {v}.
cpf: Cadastro de Pessoa Física {v} está regular.
cpf: CPF/MF n. {v}, doravante denominado locatário.
cnpj: A empresa de CNPJ {v} foi multada.
cnpj: CNPJ nº {v}
cnpj: Padaria Central Ltda., inscrita no CNPJ sob o número {v}, venceu a disputa.
cnpj: Emitir para o CNPJ: {v}.
cnpj: Cadastro Nacional da Pessoa Jurídica: {v}
rg: Portador do RG {v}, solteiro.
rg: RG nº {v}, expedido em Curitiba.
rg: Carteira de identidade {v}.
rg: O documento {v} SSP/SP está vencido.
rg: Cédula de identidade RG: {v}
cep: Rua das Flores, 100, CEP {v}.
cep: CEP: {v}
cep: O código postal é {v}.
cep: Informe o CEP ({v}) para calcular a entrega.
phone: Ligue para {v} depois das 18h.
phone: Meu telefone é {v}.
phone: Tel.: {v}
phone: WhatsApp {v}
phone: O celular dela mudou para {v}.
phone: Contato: {v} (falar com Ana).
email: Escreva para {v} até amanhã.
email: E-mail: {v}
email: O endereço {v} não existe mais.
email: Mandei tudo para <{v}>, sem resposta.
card: Cartão {v}, validade 12/29.
card: Paguei no crédito com o cartão {v}.
card: Número do cartão: {v}
card: O Visa {v} foi recusado.
pix: Minha chave Pix é {v}.
pix: Pix: {v}
pix: Transfira usando a chave aleatória {v}.
ip: O acesso partiu do IP {v}.
ip: IP de origem: {v}
ip: O servidor {v} não responde.
ip: Conexão recusada por {v} às três da manhã.
pis: PIS {v}
pis: O trabalhador de PIS/PASEP {v} sacou o abono.
pis: NIS: {v}
cns: Cartão SUS {v}.
cns: Cartão Nacional de Saúde: {v}
cns: CNS {v}, paciente internado.
voter: Título de eleitor {v}, zona 12.
voter: Inscrição eleitoral: {v}
voter: O eleitor {v} votou em trânsito.
ssn: O SSN dele nos Estados Unidos é {v}.
order: O pedido {v} saiu para entrega.
order: Pedido nº {v} cancelado.
protocol: Protocolo de atendimento {v}.
protocol: Abri o chamado {v} na segunda.
isbn: ISBN {v}, segunda edição.
isbn: O livro (ISBN: {v}) está esgotado.
date: A reunião ficou para {v}.
date: Publicado em {v} no Diário Oficial.
time: O trem sai às {v}.
timestamp: Arquivo backup_{v}.tar.gz gerado.
timestamp: Registro gravado em {v}.
version: Atualize para a versão {v}.
version: O firmware {v} corrige a falha.
tracking: Rastreio: {v}
tracking: O objeto {v} chegou ao destino.
part: A peça {v} está em falta.
part: Código {v} no catálogo.
digits11: O número de série é {v}.
digits11: Matrícula {v}, turno da noite.
digits14: Nota fiscal {v} emitida.
digits16: Lote {v} reprovado.
ean: Código de barras {v}.
ean: EAN: {v}
decimal: O valor de pi é aproximadamente {v}.
coordinates: Coordenadas: {v}.
price: Custou {v} à vista.
price: O contrato soma {v}.
mac: Endereço MAC {v}.
uuid: O objeto {v} foi apagado do banco.
uuid: Identificador da sessão: {v}
url: Veja em {v} os detalhes.
mention: Siga {v} para novidades.
law: Nos termos da {v}, é vedado.
years: Governou no período {v}.
years: Campeonato {v} terminou empatado.
hash: Commit {v} quebrou o teste.
lawsuit: Processo nº {v}, em trâmite.
count: A cidade tem {v} habitantes.
count: Foram contados {v} votos.
tollfree: Central de atendimento: {v}.
private_ip: O roteador usa {v} por padrão.
netmask: Máscara de rede {v}.
network: Bloqueie a faixa {v}.
section: Veja a seção {v} do manual.
invoice_key: Chave de acesso: {v}
boleto: Linha digitável {v}
imei: IMEI {v}
bad_cpf: O formulário recusou {v} por dígito errado.
bad_cnpj: O exemplo {v} do manual é fictício.
bad_card: Digite algo como {v} para testar.
zip4: Enviado a Springfield, IL {v}.
account: Agência e conta: {v}
plate: O carro de placa {v} foi multado.
code: No código aparece {v} duas vezes.
number: Foram {v} no total.
number: O resultado deu {v}.
plain: Depois da chuva, a feira abriu como sempre.
plain: Ninguém soube explicar o barulho no telhado.
""",
    "en": """
any: Please write this down: {v}.
any: She gave me {v} yesterday.
any: As requested: {v}.
any: {v} is all I could find.
any: John Smith ({v}) signed the form.
any: Kindly check {v} before Friday.
any: The sheet says {v}, though I doubt it.
any: Mary Jones - {v}
cpf: His Brazilian CPF is {v}.
cpf: CPF: {v}
cpf: CPF number {v} was rejected.
cnpj: The company, CNPJ {v}, was fined.
cnpj: CNPJ: {v}
rg: Holder of RG {v}, single.
rg: Identity card {v}, issued in Brazil.
cep: Rua Augusta 500, CEP {v}, São Paulo.
cep: The postal code is {v}.
phone: Call me at {v} after six.
phone: My phone number is {v}.
phone: Tel: {v}
phone: Text {v} for details.
phone: Her mobile is now {v}.
email: Write to {v} by tomorrow.
email: Email: {v}
email: The address {v} bounced.
email: I sent it to <{v}> twice.
card: Card {v}, expires 12/29.
card: I paid with my Visa card {v}.
card: Credit card number: {v}
pix: My PIX key is {v}.
pix: Pay by Pix: {v}
ip: The login came from IP {v}.
ip: Source IP: {v}
ip: Host {v} is down.
ip: Connection refused by {v} at dawn.
pis: His PIS number is {v}.
cns: Brazilian health card (CNS) {v}.
voter: Voter ID {v}, zone 12.
ssn: SSN: {v}
ssn: My social security number is {v}.
ssn: Social Security {v} on file.
order: Order {v} has shipped.
order: Your order number is {v}.
protocol: Ticket {v} was closed.
isbn: ISBN {v}, second edition.
date: The meeting moved to {v}.
date: Published on {v} in the Gazette.
time: The train leaves at {v}.
timestamp: Log rotated at {v}.
version: Upgrade to version {v}.
version: Firmware {v} fixes it.
tracking: Tracking number {v}.
tracking: Parcel {v} has arrived.
part: Part number {v} is out of stock.
part: SKU {v} in the catalogue.
digits11: The serial number is {v}.
digits14: Invoice {v} was issued.
digits16: Batch {v} failed.
ean: Barcode {v}.
decimal: Pi is roughly {v}.
coordinates: Coordinates: {v}.
price: It cost {v} in cash.
mac: MAC address {v}.
uuid: Object {v} was deleted.
uuid: Session id: {v}
url: See {v} for details.
mention: Follow {v} for news.
law: Under {v}, this is forbidden.
years: He ruled in {v}.
years: The {v} season ended in a draw.
hash: Commit {v} broke the test.
lawsuit: Lawsuit {v}, pending.
count: The city has {v} people.
tollfree: Customer service: {v}.
private_ip: The router defaults to {v}.
netmask: Netmask {v}.
network: Block the range {v}.
section: See section {v} of the manual.
invoice_key: Access key: {v}
boleto: Payment slip {v}
imei: IMEI {v}
bad_cpf: The form rejected {v} for a wrong digit.
bad_cnpj: The sample {v} in the manual is made up.
bad_card: Type something like {v} to test.
zip4: Shipped to Springfield, IL {v}.
account: Branch and account: {v}
plate: The car with plate {v} was fined.
code: The code has {v} twice.
number: There were {v} in all.
number: The result was {v}.
plain: After the rain the market opened as usual.
plain: Nobody could explain the noise on the roof.
""",
}

HELDOUT = {
    "pt": """
any: Bom dia! {v}. Obrigada e até logo.
any: Consta do cadastro antigo {v}, sem outras informações.
any: Fulano deixou {v} anotado num guardanapo.
any: Os dados do comprador são estes: {v}; confirme.
any: Esqueci de avisar, é {v} mesmo.
any: Pedro Henrique Lima, {v}, compareceu à audiência.
any: "{v}", respondeu a moça do balcão.
any: * {v}
cpf: Titular: Carlos Mendes, CPF nº {v}.
cpf: Preciso do CPF dele, que é {v}, para emitir o recibo.
cpf: portadora do CPF {v} e residente nesta capital
cpf: Meu cpf é {v} e moro em Olinda.
cpf: A declaração foi entregue pelo contribuinte de CPF n.º {v} no último dia do prazo.
cpf: Digite o CPF (somente números): {v}
cnpj: Razão social Alfa Comércio S.A., CNPJ {v}, com sede em Belém.
cnpj: Faturar para o cnpj {v}, aos cuidados do financeiro.
cnpj: A contratada, pessoa jurídica de direito privado, CNPJ n.º {v}, obriga-se a prestar o serviço.
cnpj: Consulte na Receita o CNPJ "{v}".
cnpj: O CNPJ da filial é: {v}
rg: brasileiro, casado, RG n.º {v}, mecânico
rg: Apresentou identidade número {v} na portaria.
rg: Meu RG é o {v}, já renovado.
rg: Documento de identidade nº {v} SSP/MG.
rg: R.G. {v}
cep: Moro no centro de Manaus, cep {v}.
cep: Av. Brasil, 1500, apto 32, Rio de Janeiro - RJ, CEP: {v}
cep: Qual é o CEP daí? É {v}.
cep: Entregar no CEP {v}, casa amarela de esquina.
phone: Pode me chamar no zap {v}.
phone: Fone/fax {v}
phone: Qualquer dúvida, telefone para {v} em horário comercial.
phone: Me liga no {v} quando chegar.
phone: Telefones para recado: {v}.
phone: O número do celular do pedreiro é {v}.
email: Dúvidas? {v}
email: Copie {v} na resposta e arquive.
email: Meu e-mail novo: {v}, o antigo foi desativado.
email: (contato: {v})
card: Debitaram duas vezes do meu cartão de crédito {v}.
card: Mastercard nº {v}, em nome da titular.
card: Bloqueie o cartão {v} imediatamente!
card: Dados do pagamento: cartão final da compra {v}, três parcelas.
pix: Recebo por Pix, chave {v}.
pix: A chave Pix cadastrada ({v}) pertence a outra pessoa.
pix: Manda um pix pra {v} que eu confirmo.
ip: A postagem foi feita a partir do endereço IP {v}, segundo o provedor.
ip: Usuário entrou pelo ip {v} ontem à noite.
ip: Tentativa de acesso bloqueada: {v}
ip: ping {v} não respondeu
pis: Número do PIS: {v}
pis: Cadastrado no NIT sob nº {v}, contribui desde jovem.
pis: Informe o PASEP ({v}) do servidor.
cns: Paciente com CNS n.º {v} aguarda vaga.
cns: Número do cartão do SUS: {v}
cns: Traga o cartão nacional de saúde {v} no dia.
voter: Meu título de eleitor é o {v}.
voter: Título eleitoral nº {v}, quitação em dia.
voter: Eleitora inscrita sob o número {v}.
ssn: Seu Social Security Number ({v}) aparece no formulário americano.
order: A encomenda {v} atrasou de novo.
order: Sua compra de número {v} foi aprovada.
protocol: Anote o número de protocolo: {v}.
protocol: Ordem de serviço {v} encerrada pelo técnico.
isbn: Romance em capa dura, ISBN {v}.
isbn: Ficha catalográfica: ISBN: {v}
date: Nasceu em {v} no interior.
date: O prazo vence {v}, impreterivelmente.
time: Cronometrou {v} na segunda volta.
timestamp: O lote {v} foi processado sem erro.
timestamp: Log: {v} início da rotina.
version: Instalei a versão {v} e travou.
version: O driver na versão {v} é o mais estável.
tracking: Seu código de rastreamento é {v}.
tracking: Postado nos Correios: {v}
part: Comprei o rolamento ref. {v} na promoção.
part: O modelo {v} saiu de linha.
digits11: Série {v}, fabricada em Manaus.
digits11: Número do contrato: {v}
digits14: A fatura {v} vence na terça.
digits16: O comprovante traz o código de autenticação {v}.
ean: O leitor não reconheceu o código de barras {v}.
decimal: A constante mede {v} nessas unidades.
coordinates: O naufrágio fica em {v}.
price: Arrematado por {v} no leilão.
price: A dívida chegou a {v}, dizem os credores.
mac: A placa de rede tem o MAC {v}.
uuid: Erro ao carregar o registro {v}.
uuid: request_id={v} status=ok
url: O edital está publicado em {v}, página dois.
mention: A foto é de {v}, com permissão.
law: Conforme dispõe a {v}, cabe recurso.
years: Mestrado na federal ({v}).
years: O mandato {v} foi marcado por greves.
hash: Confira a soma {v} depois de baixar.
lawsuit: Autos {v}, conclusos ao juiz.
count: O estado produziu {v} toneladas de soja.
count: Mais de {v} pessoas viram o vídeo.
tollfree: Ouvidoria: {v}, ligação gratuita.
private_ip: Configure o endereço IP {v} na placa interna.
netmask: Use {v} como máscara.
network: O provedor anunciou o bloco {v} ontem.
section: Conforme o item {v} do edital.
invoice_key: NF-e com chave {v} autorizada.
boleto: Pague com o código {v} no aplicativo.
imei: O aparelho roubado tem IMEI {v}.
bad_cpf: CPF inválido: {v}
bad_cnpj: CNPJ {v} não confere, verifique os dígitos.
bad_card: O cartão {v} não existe, disse o sistema.
zip4: O escritório fica em Boulder, CO {v}.
account: Deposite no Banco do Brasil, {v}.
plate: Viram o caminhão {v} fugindo.
code: A linha com {v} não compila.
number: Restaram {v} depois da contagem.
number: Deu exatamente {v} na calculadora.
plain: O gato dormiu a tarde inteira em cima do piano.
plain: Se fizer sol, a gente almoça no quintal com os vizinhos.
""",
    "en": """
any: Good morning! {v}. Thanks and take care.
any: The old file only lists {v}, nothing else.
any: He left {v} scribbled on a napkin.
any: These are the buyer's details: {v}; please confirm.
any: I forgot to say, it really is {v}.
any: Peter Wright, {v}, attended the hearing.
any: "{v}", replied the clerk.
any: * {v}
cpf: Foreign residents must enter a CPF ({v}) at checkout.
cpf: Taxpayer: Carlos Mendes, CPF no. {v}
cpf: cpf={v}
cnpj: Alfa Comércio S.A., CNPJ no. {v}, is based in Belém.
cnpj: Bill it to the CNPJ {v}, please.
rg: The guest showed a Brazilian RG, number {v}.
rg: Document: RG {v} SSP/SP
cep: Ship to Avenida Paulista 1000, São Paulo, CEP: {v}
cep: What is the CEP there? It is {v}.
phone: You can reach our office on {v} until noon.
phone: Phone/fax: {v}
phone: Give us a ring on {v} any time.
phone: I tried calling {v} but nobody answered.
phone: Send a WhatsApp to {v} and wait.
phone: Emergency contact: {v}
email: Questions? {v}
email: Please copy {v} on the reply.
email: My new email is {v}, the old one is gone.
email: (contact: {v})
card: They charged my credit card {v} twice.
card: Mastercard no. {v}, in her own name.
card: Block card {v} right away!
pix: I take Pix, key {v}.
pix: The Pix key on file ({v}) belongs to someone else.
ip: The post was made from the IP address {v}, the provider said.
ip: User logged in from {v} last night.
ip: Blocked access attempt: {v}
ip: ping {v} timed out
pis: Worker registered under PIS no. {v}.
cns: Patient with CNS {v} is waiting for a bed.
voter: Brazilian voter registration {v} is in order.
voter: Her voter card no. {v} expired.
ssn: Employee SSN {v} must not be shared.
ssn: He typed his Social Security number, {v}, into a fake site.
ssn: Last name Doe, SSN# {v}
order: Purchase order {v} is late again.
order: Your order #{v} was approved.
protocol: Please quote reference {v} when you write.
protocol: Case {v} was escalated.
isbn: Hardcover novel, ISBN {v}.
isbn: Cataloguing data: ISBN: {v}
date: He was born on {v} in the countryside.
date: The deadline is {v}, no exceptions.
time: She clocked {v} on the second lap.
timestamp: Batch {v} ran without errors.
timestamp: Log: {v} job started.
version: I installed version {v} and it crashed.
version: Driver release {v} is the stable one.
tracking: Your tracking code is {v}.
tracking: Shipment {v} cleared customs.
part: I bought the bearing, ref. {v}, on sale.
part: Model {v} was discontinued.
digits11: Serial {v}, made in Manaus.
digits11: Contract number: {v}
digits14: Invoice no. {v} is due on Tuesday.
digits16: The receipt shows authentication code {v}.
ean: The scanner could not read barcode {v}.
decimal: The constant is {v} in those units.
coordinates: The wreck lies at {v}.
price: It sold for {v} at auction.
mac: The network card has MAC {v}.
uuid: Could not load record {v}.
uuid: request_id={v} status=ok
url: The notice is posted at {v}, page two.
mention: Photo by {v}, with permission.
law: As set out in {v}, an appeal is possible.
years: Master's degree ({v}).
years: The {v} term was marked by strikes.
hash: Check the sum {v} after downloading.
lawsuit: Docket {v}, before the judge.
count: The state grew {v} tonnes of soy.
count: More than {v} people watched it.
tollfree: Ombudsman: {v}, free of charge.
private_ip: Set the IP address {v} on the inner card.
netmask: Use {v} as the mask.
network: The provider announced the block {v} yesterday.
section: As required by item {v} of the notice.
invoice_key: Electronic invoice with key {v} authorised.
boleto: Pay with the code {v} in the app.
imei: The stolen handset has IMEI {v}.
bad_cpf: Invalid CPF: {v}
bad_cnpj: CNPJ {v} does not check, verify the digits.
bad_card: Card {v} does not exist, said the system.
zip4: The office is in Boulder, CO {v}.
account: Pay into Banco do Brasil, {v}.
plate: They saw truck {v} drive off.
code: The line with {v} does not compile.
number: {v} were left after the count.
number: It came to exactly {v} on the calculator.
plain: The cat slept all afternoon on top of the piano.
plain: If it is sunny we will have lunch in the yard with the neighbours.
""",
}
