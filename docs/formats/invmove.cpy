      *================================================================
      * INVMOVE  - INVENTORY MOVEMENT, ONE RECORD A MOVEMENT, 80 BYTES
      *            TEXT AND ZONED FIELDS IN EBCDIC, CCSID 037
      *            SEE QUEUE-RECORD.MD FOR CODES AND RULES
      *================================================================
       01  INV-MOVE-REC.
           05  INV-REC-TYPE            PIC X(2).
               88  INV-IS-MOVE             VALUE 'IM'.
      *    A STATUS: INV-SEQ-NO IS THE LAST ONE WRITTEN, INV-STORE-NO AND
      *    INV-EFF-DATE, INV-EFF-TIME ARE SET, ALL ELSE IS SPACES
               88  INV-IS-STATUS           VALUE 'IS'.
           05  INV-SEQ-NO              PIC 9(9)      COMP.
           05  INV-STORE-NO            PIC 9(5)      COMP-3.
           05  INV-DEPT-NO             PIC 9(3)      COMP-3.
           05  INV-SKU-NO              PIC 9(9)      COMP-3.
           05  INV-GTIN                PIC X(14).
           05  INV-MOVE-TYPE           PIC X(3).
               88  INV-GOODS-IN            VALUE '101'.
               88  INV-SALE                VALUE '251'.
               88  INV-SCRAPPED            VALUE '551'.
               88  INV-SCRAP-REVERSED      VALUE '552'.
               88  INV-SHIPPED             VALUE '641'.
               88  INV-RETURNED            VALUE '671'.
               88  INV-COUNT-PLUS          VALUE '701'.
               88  INV-COUNT-MINUS         VALUE '702'.
           05  INV-QTY                 PIC S9(7)V9(3) COMP-3.
           05  INV-ON-HAND             PIC S9(7)     COMP-3.
           05  INV-ON-ORDER            PIC S9(7)     COMP-3.
           05  INV-UNIT-COST           PIC S9(7)V99  COMP-3.
           05  INV-EFF-DATE            PIC 9(8).
           05  INV-EFF-TIME            PIC 9(6).
           05  INV-ADJ-QTY             PIC S9(5)     SIGN TRAILING.
      *    OF A SHIPMENT; SPACES IF THERE IS NONE
           05  INV-DESTINATION         PIC 9(5)      COMP-3.
           05  INV-DESTINATION-X REDEFINES INV-DESTINATION
                                       PIC X(3).
           05  INV-DESPATCH-ADVICE     PIC 9(11)     COMP-3.
           05  INV-DESPATCH-ADVICE-X REDEFINES INV-DESPATCH-ADVICE
                                       PIC X(6).
